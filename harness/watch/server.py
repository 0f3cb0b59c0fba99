"""Which server is watched, and what one look at it shows: the ports and the processes behind an option of the call."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from halfopen.errors import InputError
from halfopen.netns import processes
from halfopen.netns.census import Census, Listener, Sighting
from halfopen.netns.errors import LabError

_ANY_PORT = 0
#: What a socket has that no process holds any more.
_ORPHAN = 0


class EndedError(Exception):
    """The process that was watched has ended."""


@dataclass(frozen=True, slots=True)
class Look:
    """All of a server's sessions at one moment."""

    t: float
    """When it was taken, seconds of the monotonic clock."""
    sessions: int
    """How many there are that the server has not closed itself, those without bytes queued among them."""
    closing: int
    """How many it has: what the kernel still has of them."""
    sightings: Sequence[Sighting]
    """The sessions with bytes queued, or all that there are."""


class Server:
    """What is watched."""

    def __init__(self, census: Census, ports: Sequence[int], pid: int | None = None, *, shared: bool = False) -> None:
        self._census = census
        self.ports = ports
        self.pid = pid
        self._shared = shared
        self._owners: dict[int, int] = {}

    def __str__(self) -> str:
        ports = ", ".join(map(str, self.ports))
        where = f"port{'s' * (len(self.ports) > 1)} {ports}" if self.ports != (_ANY_PORT,) else "all connections"
        return where if self.pid is None else f"{where} of process {self.pid}"

    def look(self, *, whole: bool = False) -> Look:
        """Look once; ``whole``: also at what has nothing queued. Raises EndedError."""
        if self.pid is not None and not processes.is_alive(self.pid):
            raise EndedError(f"process {self.pid} has ended")
        taken = self._census.take(self.ports, self._inodes() if self._shared else None, whole=whole)
        held = [seen for seen in taken.sightings if _is_held(seen)]
        sessions = taken.states.get("ESTABLISHED", 0) + taken.states.get("CLOSE_WAIT", 0)
        return Look(time.monotonic(), sessions, sum(taken.states.values()) - sessions, held)

    def _inodes(self) -> Collection[int]:
        assert self.pid is not None
        self._owners = _owners(self.pid)
        return self._owners

    def owners(self, inodes: Iterable[int]) -> dict[int, int]:
        """The processes that hold these sockets, as far as we may see."""
        wanted = set(inodes)
        unknown = wanted - self._owners.keys()
        if unknown:
            # 0: nobody whom we may see. Asked once, since that takes a look at every file of everybody.
            known = processes.holders(unknown) if self.pid is None else _owners(self.pid)
            self._owners = {inode: pid for inode, pid in self._owners.items() if inode in wanted}
            self._owners |= dict.fromkeys(unknown, 0) | known
        return {inode: self._owners[inode] for inode in wanted if self._owners[inode]}


def _is_held(seen: Sighting) -> bool:
    return seen.state in {"ESTABLISHED", "CLOSE_WAIT"}


def _owners(pid: int) -> dict[int, int]:
    """The sockets of a process and of those below it, and who holds them: the lowest of those that do."""
    return {inode: one for one in processes.family(pid) for inode in processes.sockets_of(one)}


def find(pid: int | None, ports: Sequence[int], *, all_connections: bool = False) -> Server:
    """The server behind ``--pid``, ``--listen`` and ``--all``; from now on this process is in its network.

    Raises InputError, or LabError where it may not be looked at.
    """
    if pid is None:
        if not ports:
            raise InputError("nothing to watch: name a server by --pid PID, or by --listen PORT")
        if all_connections:
            raise InputError("--all means all connections of a process: name it by --pid PID")
        census = Census()
        _require_listeners(ports, census)
        return Server(census, ports)
    processes.join_network(pid)
    return _of_process(pid, ports, Census(), all_connections)


def _require_listeners(ports: Sequence[int], census: Census) -> None:
    listening = {listener.address.port for listener in census.listeners()}
    for port in ports:
        if port not in listening and not census.take([port]).states:
            raise InputError(
                f"nobody listens on port {port} here, nor has a connection there: {_known(listening)}; "
                "of a container name the process, by --pid"
            )


def _known(ports: Collection[int]) -> str:
    return f"there are {', '.join(map(str, sorted(ports)))}" if ports else "nobody listens at all"


def _of_process(pid: int, ports: Sequence[int], census: Census, all_connections: bool) -> Server:
    own = set(_owners(pid))
    if all_connections:
        return Server(census, ports or (_ANY_PORT,), pid, shared=True)
    listeners = census.listeners()
    above = _sockets_above(pid)
    its = [listener for listener in listeners if listener.inode in own]
    # A worker may have been handed no more than its connections.
    its = its or [listener for listener in listeners if listener.inode in (above or set())]
    found = sorted({listener.address.port for listener in its})
    if not found:
        raise InputError(
            f"process {pid} ({processes.name(pid)}) listens on no TCP port, nor does any below it; "
            "to see the connections that it made: --all"
        )
    if strange := set(ports) - set(found):
        raise InputError(f"process {pid} does not listen on port {min(strange)}; it does on {_listed(found)}")
    asked = [port for port in found if not ports or port in ports]
    return Server(census, asked, pid, shared=above is None or _is_shared(asked, listeners, own, above))


def _listed(ports: Sequence[int]) -> str:
    return ", ".join(map(str, ports))


def _sockets_above(pid: int) -> set[int] | None:
    """The sockets of the process above; None where they are not ours to look at."""
    parent = processes.parent(pid)
    if not parent:
        return set()
    try:
        return processes.sockets_of(parent)
    except LabError:
        return None


def _is_shared(ports: Sequence[int], listeners: Sequence[Listener], own: set[int], above: set[int]) -> bool:
    """Whether others take connections on these ports too, so that each must be asked whose it is."""
    inodes = {listener.inode for listener in listeners if listener.address.port in ports}
    return bool(inodes - own or inodes & above)
