"""The path from the router to a server, with a proxy in front of it if the scenario asks for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.sockets import Address
from halfopen.run.recorder import OfTheProxy, Recorder, recording
from halfopen.scenario.spec import Edge
from halfopen.targets.base import Site
from halfopen.targets.proxy import proxy


@dataclass(frozen=True, slots=True)
class Route:
    """The path to one server: router ──link──▶ server, or router ──link──▶ edge ──link──▶ server."""

    site: Site
    router: Host
    edge: Edge | None = None
    edge_host: Host | None = None
    interface: str = ""
    """The server's interface, in its host."""
    edges_own_ip: str = ""
    """Address from which the edge connects to the server."""

    @property
    def between(self) -> tuple[Host, ...]:
        """Hosts that must outlive the processes at either end."""
        return (self.router, self.edge_host) if self.edge_host else (self.router,)

    def seen_from(self, address: Address) -> tuple[Address, ...]:
        """Addresses from which the client at ``address`` reaches the server; behind an edge, the edge's at any port."""
        return (Address(self.edges_own_ip, 0), address) if self.edge_host else (address,)

    @contextlib.contextmanager
    def proxied(self, journal: Journal) -> Iterator[None]:
        """Run the proxy, if the path has one, until the context is left; raises TargetError."""
        if self.edge is None or self.edge_host is None or self.site.edge_ip is None:
            yield
            return
        listen, upstream = Address(self.site.edge_ip, self.site.port), Address(self.site.ip, self.site.port)
        with proxy(self.edge, self.edge_host, listen, upstream, journal, (self.router,)):
            yield

    def recording_in_front(self, journal: Journal) -> AbstractContextManager[Recorder | None]:
        """Record the proxy's connections with clients, if the path has a proxy."""
        if self.edge_host is None:
            return contextlib.nullcontext()
        return recording(OfTheProxy(journal), self.edge_host, self.site.port)


def lead_to(
    server: Host, lab: Lab, router: Host, edge: Edge | None, *, port: int, journal: Journal, ready_within: float
) -> Route:
    """Link the server's host to the router, through a host for the proxy if there is an ``edge``."""
    edge_host = lab.host(server.name.replace("server", "edge")) if edge else None
    # A host's first link is its default route, so the link to the router comes first.
    uplink = to_server = lab.link(router, edge_host or server)
    if edge_host is not None:
        to_server = lab.link(edge_host, server)
    site = Site(
        host=server,
        ip=to_server.end(server).ip,
        port=port,
        journal=journal,
        ready_within=ready_within,
        keep_open=(router, edge_host) if edge_host else (router,),
        edge_ip=uplink.end(edge_host).ip if edge_host else None,
    )
    edges_own_ip = to_server.end(edge_host).ip if edge_host else ""
    return Route(site, router, edge, edge_host, to_server.end(server).interface, edges_own_ip)
