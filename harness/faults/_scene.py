"""The objects that a fault may act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from halfopen.netns.host import Host
from halfopen.netns.impairment import Impairment
from halfopen.netns.link import Link

if TYPE_CHECKING:
    from halfopen.netns.firewall import Cut

#: Seconds within which a process obeys. A closing handshake may take half of it (websockets gives up after 10).
_OBEYED_WITHIN = 20.0


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For faults without settings."""


class ProcessHandle(Protocol):
    """A process of the lab, as a fault sees it."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def say(self, word: str) -> None:
        """Send it an order, such as ``close``; raises FaultError if it takes none, as a user's server."""
        ...

    def wait_for(self, name: str, timeout: float) -> Mapping[str, Any]:
        """Wait for its event ``name``, of a server after the last order.

        Raises TimeoutError after ``timeout`` seconds.
        """
        ...


def order(process: ProcessHandle, word: str, event: str) -> None:
    """Send a process an order and wait until it reports that it has obeyed; raises FaultError, TimeoutError."""
    process.say(word)
    process.wait_for(event, _OBEYED_WITHIN)


class ServerHandle(ProcessHandle, Protocol):
    """The server's process, as a fault sees it."""

    def paused(self, by: str) -> AbstractContextManager[None]:
        """Pause its container (halfopen.faults.pause); raises FaultError if it is in none."""
        ...

    def cut_off(self) -> AbstractContextManager[Cut]:
        """Silently drop, in the router, all packets to and from the server, or the proxy in front of it."""
        ...

    def edge_down(self, by: str) -> AbstractContextManager[None]:
        """End the proxy in front of it, and start it again (halfopen.faults.restart_edge).

        Raises FaultError if there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """One client, its host, the link that leads from it to the network, and the server under test."""

    client: ProcessHandle
    server: ServerHandle
    client_host: Host
    link: Link
    note: Callable[..., None]
    """Writes an event of the fault to the timeline: a name, and its data by keyword."""
    seeded: Callable[[Impairment], Impairment]
    """Gives an impairment that draws random numbers a seed of the run, unless it has one."""
    rival: Callable[[str], AbstractContextManager[ProcessHandle]]
    """Connects a second client from the same host while the context is entered.

    Its argument is a query for the URL (``"preempt=1"``). Raises FaultError if it gets no session.
    """
