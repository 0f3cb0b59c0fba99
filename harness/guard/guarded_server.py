"""The guarded server: its processes, the ports on which they accept connections, and the holders of its sockets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from halfopen.errors import InputError
from halfopen.netns import processes
from halfopen.netns.census import Census, RawSample
from halfopen.netns.sockets import Address

_ANY = frozenset({"0.0.0.0", "::"})


class Holder(NamedTuple):
    """A process's descriptor of a socket."""

    pid: int
    number: int


class GuardedServer:
    """Some processes, or all of a port. Only connections at an address where they listen, or have listened, count.

    That excludes the server's own connections, such as to its database: the kernel gives none of them a port that is
    listened on. One that asks for such a port itself (SO_REUSEPORT) is recognized by its counters (is_dialled).
    """

    is_any = False
    """True if its connections count whoever holds them, also if nobody can be found."""

    def __init__(self, census: Census, members: Callable[[], Iterable[int]], ports: Iterable[int] = ()) -> None:
        """``members`` returns the processes of the server. ``ports``: only these; none: any."""
        self._census = census
        self._members = members
        self._chosen = frozenset(ports)
        self._listening: frozenset[int] = frozenset()
        """Inodes of all listeners of the network namespace."""
        self.listens = False
        """True if a process of the server listened at the last survey."""
        self.addresses: frozenset[Address] = frozenset()
        """The addresses at which the server accepts, or accepted, connections."""

    @property
    def ports(self) -> list[int]:
        """The ports of these addresses."""
        return sorted({address.port for address in self.addresses})

    def survey(self, *, is_thorough: bool) -> None:
        """Find the listeners again. Unless it is thorough, processes are only read if there are other listeners.

        An address where nobody listens any more stays while it has connections: a server that is being replaced stops
        listening first.
        """
        listeners = self._census.listeners()
        inodes = frozenset(listener.inode for listener in listeners)
        if inodes == self._listening and not is_thorough:
            return
        self._listening = inodes
        wanted = {each.inode: each.local for each in listeners if not self._chosen or each.local.port in self._chosen}
        now = frozenset(wanted[inode] for inode in self.holders(wanted))
        gone = self.addresses - now
        busy = {port for port in {address.port for address in gone} if self._census.poll([port]).states}
        self.listens = bool(now)
        self.addresses = now | frozenset(address for address in gone if address.port in busy)

    def covers(self, seen: RawSample) -> bool:
        """True if a connection at one of the ports is at an address of the server."""
        local = seen.local
        return local in self.addresses or any(Address(ip, local.port) in self.addresses for ip in _ANY)

    def holders(self, inodes: Iterable[int]) -> dict[int, list[Holder]]:
        """Return the server's descriptors of these sockets, as far as they may be read."""
        wanted = set(inodes)
        holders: dict[int, list[Holder]] = {}
        for pid in self._members() if wanted else ():
            with contextlib.suppress(PermissionError):
                for number, inode in processes.socket_descriptors(pid):
                    if inode in wanted:
                        holders.setdefault(inode, []).append(Holder(pid, number))
        return holders


def of_process(census: Census, pid: int, ports: Iterable[int] = ()) -> GuardedServer:
    """Return the server of a process and its descendants; raises InputError if they listen nowhere.

    Raises LabError if they may not be read.
    """
    processes.sockets_of(pid)
    server = GuardedServer(census, lambda: processes.family(pid), ports)
    server.survey(is_thorough=True)
    if not server.addresses:
        on = " or ".join(str(port) for port in ports)
        raise InputError(
            f"--pid {pid}: {processes.name(pid)} and the processes below it listen on no TCP port"
            f"{' ' if on else ''}{on}; name the server's first process, or use --listen PORT"
        )
    return server


class PortServer(GuardedServer):
    """All that listen on some ports, whoever they are, also if their files may not be read."""

    is_any = True

    def __init__(self, census: Census, ports: Iterable[int]) -> None:
        super().__init__(census, processes.pids, ports)

    def survey(self, *, is_thorough: bool) -> None:
        """Find the listeners again. An address stays for ever, since the user named its port."""
        del is_thorough
        here = [listener for listener in self._census.listeners() if listener.local.port in self._chosen]
        self._listening = frozenset(listener.inode for listener in here)
        self.listens = bool(here)
        self.addresses |= {listener.local for listener in here}

    def listener(self) -> int | None:
        """Return a process that listens; None if none may be read."""
        return next((holder.pid for each in self.holders(self._listening).values() for holder in each), None)


def of_ports(census: Census, ports: Iterable[int]) -> PortServer:
    """Return the server that listens on these ports; raises InputError if nobody listens on one of them."""
    server = PortServer(census, ports)
    server.survey(is_thorough=True)
    for port in ports:
        if port not in server.ports:
            raise InputError(
                f"--listen {port}: no server listens on this port here; start it first, or use --pid PID for a server "
                "in a container"
            )
    return server
