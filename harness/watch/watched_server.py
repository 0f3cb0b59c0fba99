"""The watched server and one poll of it: the ports and processes that the command's options name."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from halfopen.errors import InputError
from halfopen.netns import processes
from halfopen.netns.census import Census, RawSample
from halfopen.netns.lab_errors import LabError
from halfopen.netns.sockets import SocketSample

_ANY_PORT = 0


class EndedError(Exception):
    """The watched process has ended."""


@dataclass(frozen=True, slots=True)
class ServerPoll:
    """All of a server's sessions at one moment."""

    t: float
    """Time of the poll, seconds of the monotonic clock."""
    sessions: int
    """Number of sessions that the server has not closed itself, with or without bytes queued."""
    closing: int
    """Number of sessions that the server has closed, as far as the kernel still has them."""
    sightings: Sequence[RawSample]
    """The sessions with bytes queued, or all sessions."""


class WatchedServer:
    """The watched server."""

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

    def poll(self, *, whole: bool = False) -> ServerPoll:
        """Poll once. ``whole`` includes sessions with nothing queued. Raises EndedError."""
        if self.pid is not None and not processes.is_alive(self.pid):
            raise EndedError(f"process {self.pid} has ended")
        polled = self._census.poll(self.ports, self._inodes() if self._shared else None, whole=whole)
        held = [seen for seen in polled.samples if seen.state in {"ESTABLISHED", "CLOSE_WAIT"}]
        sessions = polled.states.get("ESTABLISHED", 0) + polled.states.get("CLOSE_WAIT", 0)
        return ServerPoll(time.monotonic(), sessions, sum(polled.states.values()) - sessions, held)

    def _inodes(self) -> Collection[int]:
        assert self.pid is not None
        self._owners = _owners(self.pid)
        return self._owners

    def owners(self, inodes: Iterable[int]) -> dict[int, int]:
        """Return the processes that hold these sockets, as far as we may see."""
        wanted = set(inodes)
        unknown = wanted - self._owners.keys()
        if unknown:
            # 0: no process that we may see. Asked once, since it reads every open file of every process.
            known = processes.holders(unknown) if self.pid is None else _owners(self.pid)
            self._owners = {inode: pid for inode, pid in self._owners.items() if inode in wanted}
            self._owners |= dict.fromkeys(unknown, 0) | known
        return {inode: self._owners[inode] for inode in wanted if self._owners[inode]}


def _owners(pid: int) -> dict[int, int]:
    """Map the sockets of a process and its descendants to the lowest process that holds each."""
    return {inode: member for member in processes.family(pid) for inode in processes.sockets_of(member)}


def find(pid: int | None, ports: Sequence[int], *, all_connections: bool = False) -> WatchedServer:
    """Return the server behind ``--pid``, ``--listen`` and ``--all``, and move this process into its network.

    Raises InputError, or LabError if it may not be inspected.
    """
    if pid is None:
        if not ports:
            raise InputError("no server is named; add --pid PID or --listen PORT")
        if all_connections:
            raise InputError("--all: needs a process; add --pid PID")
        census = Census()
        _require_listeners(ports, census)
        return WatchedServer(census, ports)
    processes.join_network(pid)
    return _of_process(pid, ports, Census(), all_connections)


def _require_listeners(ports: Sequence[int], census: Census) -> None:
    listening = {listener.local.port for listener in census.listeners()}
    for port in ports:
        if port not in listening and not census.poll([port]).states:
            raise InputError(
                f"--listen {port}: no server listens on this port, and it has no connections; "
                f"{_ports_in_use(listening)}; for a server in a container use --pid"
            )


def _ports_in_use(ports: Collection[int]) -> str:
    return f"servers listen on {', '.join(map(str, sorted(ports)))}" if ports else "no server listens here"


def _of_process(pid: int, ports: Sequence[int], census: Census, all_connections: bool) -> WatchedServer:
    own = set(_owners(pid))
    if all_connections:
        return WatchedServer(census, ports or (_ANY_PORT,), pid, shared=True)
    listeners = census.listeners()
    above = _sockets_above(pid)
    ours = [listener for listener in listeners if listener.inode in own]
    # A worker may have inherited only its connections.
    ours = ours or [listener for listener in listeners if listener.inode in (above or set())]
    open_ports = sorted({listener.local.port for listener in ours})
    if not open_ports:
        raise InputError(
            f"--pid {pid}: {processes.name(pid)} and the processes below it listen on no TCP port; "
            "add --all to watch the connections that they opened"
        )
    if strange := set(ports) - set(open_ports):
        listed = ", ".join(map(str, open_ports))
        raise InputError(f"--listen {min(strange)}: process {pid} does not listen on this port; it listens on {listed}")
    chosen = [port for port in open_ports if not ports or port in ports]
    return WatchedServer(census, chosen, pid, shared=above is None or _is_shared(chosen, listeners, own, above))


def _sockets_above(pid: int) -> set[int] | None:
    """Return the sockets of the parent process; None if they are not ours to inspect."""
    parent = processes.parent(pid)
    if not parent:
        return set()
    try:
        return processes.sockets_of(parent)
    except LabError:
        return None


def _is_shared(ports: Sequence[int], listeners: Sequence[SocketSample], own: set[int], above: set[int]) -> bool:
    """True if other processes also accept connections on these ports, so that each owner must be checked."""
    inodes = {listener.inode for listener in listeners if listener.local.port in ports}
    return bool(inodes - own or inodes & above)
