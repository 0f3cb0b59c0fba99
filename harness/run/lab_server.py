"""A server in a lab, with a proxy in front of it on request. It is started once, for any number of clients."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link
from halfopen.netns.sockets import Address
from halfopen.run.recorder import Recorder, recording
from halfopen.run.server_processes import sampling_processes
from halfopen.scenario.spec import Edge
from halfopen.targets.base import Running, Site, Target
from halfopen.targets.proxy import EdgeProcess, proxy

if TYPE_CHECKING:
    from halfopen.netns.firewall import Cut


class Network:
    """A lab with a router, between its clients and its servers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.router = lab.router("router")


@dataclass(slots=True)
class LabServer:
    """A server that listens: router ──link──▶ server, or router ──link──▶ edge ──link──▶ server.

    Faults give it orders: it satisfies halfopen.faults._scene.ServerHandle.
    """

    running: Running
    site: Site
    interface: str
    """The server's interface, in its host."""
    edge: Edge | None
    edge_host: Host | None
    edges_own_ip: str
    """Address from which the edge connects to the server."""
    uplink: Link
    """The link between the router and the server or, in front of it, the edge."""
    _edge_process: EdgeProcess | None = None
    _ordered_at: float = 0.0

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        target: Target,
        network: Network,
        edge: Edge | None,
        *,
        port: int,
        journal: Journal,
        ready_within: float,
        suffix: str = "",
    ) -> Iterator[Self]:
        """Start the server behind the router, on ``port`` unless its own is fixed; raises TargetError.

        Its events, and those of its proxy, go into ``journal``. ``suffix`` ends the names of its hosts.
        """
        port, lab, router = target.fixed_port or port, network.lab, network.router
        with target.placed(lab, f"server{suffix}", port, journal) as place:
            edge_host = lab.host(f"edge{suffix}") if edge else None
            # A host's first link is its default route, so the link to the router comes first.
            uplink = to_server = lab.link(router, edge_host or place.host)
            if edge_host is not None:
                to_server = lab.link(edge_host, place.host)
            site = Site(
                host=place.host,
                ip=to_server.end(place.host).ip,
                port=port,
                journal=journal,
                ready_within=ready_within,
                keep_open=(router, edge_host) if edge_host else (router,),
                edge_ip=uplink.end(edge_host).ip if edge_host else None,
            )
            with contextlib.ExitStack() as until_done:
                running = until_done.enter_context(place.start(site))
                until_done.enter_context(sampling_processes(place.host, journal))
                process = None
                if edge is not None and edge_host is not None:
                    listen, upstream = Address(site.public_ip, port), Address(site.ip, port)
                    process = until_done.enter_context(proxy(edge, edge_host, listen, upstream, journal, (router,)))
                edges_own_ip = to_server.end(edge_host).ip if edge_host else ""
                interface = to_server.end(place.host).interface
                yield cls(running, site, interface, edge, edge_host, edges_own_ip, uplink, process)

    def seen_from(self, address: Address) -> tuple[Address, ...]:
        """Addresses from which the client at ``address`` reaches the server; behind an edge, the edge's at any port."""
        return (Address(self.edges_own_ip, 0), address) if self.edge_host else (address,)

    def recording_in_front(self, journal: Journal) -> AbstractContextManager[Recorder | None]:
        """Record the proxy's connections with clients, if there is a proxy."""
        if self.edge_host is None:
            return contextlib.nullcontext()
        # The end of a proxy's socket says nothing about the server, so it is not noted.
        return recording(journal.sampled_in_front, self.edge_host, self.site.port)

    @property
    def pid(self) -> int:
        """The server's process id; raises FaultError if it has none that is valid in the lab."""
        return self.running.process.pid

    def say(self, word: str) -> None:
        """Send it an order; raises FaultError if it takes none."""
        self._ordered_at = time.monotonic()
        self.running.say(word)

    def paused(self, by: str) -> AbstractContextManager[None]:
        """Pause its container until the context is left; raises FaultError if it is in none."""
        return self.running.paused(by)

    def cut_off(self) -> AbstractContextManager[Cut]:
        """Silently drop, in the router, all packets to and from the server, or the proxy in front of it."""
        return self.uplink.cut()

    def edge_down(self, by: str) -> AbstractContextManager[None]:
        """End the proxy by ``term`` or ``kill``, and start it again at the end; raises FaultError if there is none."""
        if self._edge_process is None:
            raise FaultError("a fault restarts the proxy in front of the server, and there is none; add [edge]")
        return self._edge_process.down(by)

    def wait_for(self, name: str, timeout: float) -> Mapping[str, Any]:
        """Wait for its event ``name``, later than the last order; raises TimeoutError after ``timeout`` seconds."""
        until, since = time.monotonic() + timeout, self._ordered_at
        event = self.site.journal.wait_for("target", name, until=until, since=since)
        if event is None:
            raise TimeoutError(f"the server did not say {name!r} within {timeout:g}s")
        return event.data
