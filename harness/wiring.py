"""The network of a run: client ──link──▶ router ──link──▶ server, or an edge in front of the server."""

from __future__ import annotations

from harness.journal import Journal
from harness.targets.base import Site
from netns.host import Host
from netns.lab import Lab
from netns.sockets import Address


class Wiring:
    """The hosts of a run and the links between them: the client's side at once, the server's once there is its host."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.client_host = lab.host("client")
        self.router = lab.router("router")
        self.link = lab.link(self.client_host, self.router)
        self.edge_host: Host | None = None
        self._edges_own_ip: str | None = None

    def lead_to(self, server: Host, *, with_edge: bool, port: int, journal: Journal, ready_within: float) -> Site:
        """Connect the server's host, with a host for a proxy in front of it if there is to be one."""
        self.edge_host = self._lab.host("edge") if with_edge else None
        # The first link of each end host leads to the router, if any does: it becomes the host's way out.
        uplink = to_server = self._lab.link(self.router, self.edge_host or server)
        if self.edge_host is not None:
            to_server = self._lab.link(self.edge_host, server)
            self._edges_own_ip = to_server.end(self.edge_host).ip
        return Site(
            host=server,
            ip=to_server.end(server).ip,
            port=port,
            journal=journal,
            ready_within=ready_within,
            keep_open=self.between,
            edge_ip=uplink.end(self.edge_host).ip if self.edge_host else None,
        )

    @property
    def between(self) -> tuple[Host, ...]:
        """What must not vanish before the processes at either end do."""
        return (self.router, self.edge_host) if self.edge_host else (self.router,)

    def seen_from(self, address: Address) -> tuple[Address, ...]:
        """From where the client at ``address`` reaches the server: behind an edge the edge's own, at any port."""
        return (address,) if self._edges_own_ip is None else (Address(self._edges_own_ip, 0), address)
