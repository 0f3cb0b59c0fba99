"""Wait until something listens on a server's port, reachable for clients, and explain a failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from halfopen.errors import TargetError, quoted
from halfopen.netns import processes
from halfopen.netns.host import Host
from halfopen.netns.processors import Processors
from halfopen.netns.sockets import Address
from halfopen.netns.units import show_duration
from halfopen.spawn.process import OnLine, Process, Program, running
from halfopen.targets.base import ServerProcess, Site

_STEP = 0.02
_USE_PORT = "use {port} in the command"


class Activity:
    """The processor time of a host's processes while a server starts, and the processors that were left to it."""

    #: Seconds between two samples, and number of the last ones that show what the processes do now.
    _INTERVAL, _RECENT = 1.0, 4
    #: Share of the samples in which a process runs, and of the time that it computes, above which it is busy.
    _RUNS, _COMPUTES = 0.5, 0.25
    #: Share of a processor up to which all of them count as busy.
    _IDLE = 0.25

    def __init__(self, host: Host) -> None:
        self._host = host
        self._processors = Processors()
        self._begun = self._due = time.monotonic()
        self._samples: list[tuple[float, processes.Work]] = []
        self._idle: list[float] = []

    def watch(self) -> None:
        """Take a sample if one is due."""
        if time.monotonic() >= self._due:
            self.sample()

    def sample(self) -> None:
        """Take a sample."""
        now = time.monotonic()
        self._due = now + self._INTERVAL
        self._samples.append((now, processes.work(self._host.processes())))
        self._idle.append(self._processors.idle())
        del self._samples[: -self._RECENT], self._idle[: -self._RECENT]

    @property
    def seconds(self) -> float:
        """Processor time that the processes have used so far, in seconds."""
        return self._samples[-1][1].seconds

    @property
    def is_known(self) -> bool:
        """True if the processes are visible. Those of a container are not."""
        return any(work.processes for _, work in self._samples)

    @property
    def is_busy(self) -> bool:
        """True if the processes worked, or waited for a processor, in the last samples."""
        (first, then), (last, now) = self._samples[0], self._samples[-1]
        running = sum(work.runs for _, work in self._samples)
        computed = now.seconds - then.seconds
        return running > self._RUNS * len(self._samples) or computed > self._COMPUTES * (last - first)

    @property
    def all_busy(self) -> str | None:
        """Words for processors that are all busy; None if one was idle."""
        count, idle = self._processors.count, sorted(self._idle)[len(self._idle) // 2]
        if idle > self._IDLE:
            return None
        return "the only processor is busy" if count == 1 else f"all {count} processors are busy"


@contextlib.contextmanager
def listening(
    site: Site, program: Program, on_line: OnLine, on_error: OnLine | None = None, *, alone: bool = False
) -> Iterator[Process]:
    """Run ``program`` and wait until something listens on the site's port; raises TargetError.

    The other parameters are those of halfopen.spawn.process.running.
    """
    shown = " ".join(program.words)
    with contextlib.ExitStack() as until_done:
        try:
            process = until_done.enter_context(
                running(site.host, program, on_line, on_error, keep_open=site.keep_open, alone=alone)
            )
        except FileNotFoundError as error:
            raise TargetError(f"cannot start the server: no such program: {error.filename!r}, in {shown!r}") from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise TargetError(f"cannot start the server: {program.words[0]!r}: {why}, in {shown!r}") from None
        await_listening(site, process, shown)
        yield process


def await_listening(
    site: Site, process: ServerProcess, shown: str, advice: str = _USE_PORT, since: float | None = None
) -> None:
    """Wait until something listens on the site's port, reachable for clients; raises TargetError.

    ``shown`` is the started program and ``advice`` the way to set its port. Its time counts from ``since``.
    """
    deadline = (time.monotonic() if since is None else since) + site.ready_within
    activity = Activity(site.host)
    addresses = listeners(site.host, site.port, process, deadline, activity.watch)
    if not addresses:
        if process.exit_code is not None:
            raise TargetError(_ended(site, process, shown) + said(process))
        activity.sample()
        raise TargetError(_not_ready(site, shown, advice, activity) + said(process))
    with contextlib.closing(site.host.socket_reader()) as reader:
        if reader.refuses_ipv4(site.port):
            raise TargetError(
                f"the server listens on {addresses[0]} for IPv6 only, and the lab's clients come over IPv4: {shown!r}; "
                "have it listen on {host}"
            )
    if all(address.ip.startswith("127.") or address.ip == "::1" for address in addresses):
        raise TargetError(
            f"the server listens on {addresses[0]} only, where no client reaches it: {shown!r}; "
            "use {host} in the command"
        )


def _ended(site: Site, process: ServerProcess, shown: str) -> str:
    if not process.exit_code and (left := site.host.processes()):
        return (
            f"the server's command ended and left {len(left)} process{'es' * (len(left) > 1)} behind before anything "
            f"listened: {shown!r}; give it the option that keeps it in the foreground"
        )
    return f"the server ended with exit code {process.exit_code} before it listened: {shown!r}"


def _not_ready(site: Site, shown: str, advice: str, activity: Activity) -> str:
    with contextlib.closing(site.host.socket_reader()) as reader:
        elsewhere = sorted({str(listener.local) for listener in reader.listeners()})
    problem = f"the server does not listen on port {site.port} after {site.ready_within:g}s"
    more_time = f"give it more time with --ready {show_duration(2 * site.ready_within)}"
    if elsewhere:
        return f"{problem}, but on {', '.join(elsewhere)}: {shown!r}; {advice}"
    if not activity.is_known:
        return f"{problem}: {shown!r}; {advice}, or {more_time}"
    used = f"it used {show_duration(round(activity.seconds, 1))} of processor time"
    if not activity.is_busy:
        return f"{problem}, and does nothing now ({used}): {shown!r}; {advice}, or {more_time}"
    if (busy := activity.all_busy) is None:
        return f"{problem}, and is still busy ({used}): {shown!r}; {more_time}"
    return (
        f"{problem}, and is still busy ({used}, and {busy}): {shown!r}; {more_time}, or run fewer at once with --jobs"
    )


def listeners(
    host: Host, port: int, process: ServerProcess, deadline: float, on_wait: Callable[[], None] = lambda: None
) -> list[Address]:
    """Wait until something listens on a port of the host, and return its addresses.

    Returns none if the process ends before, or the monotonic clock reaches ``deadline``. ``on_wait`` is called before
    each pause.
    """
    with contextlib.closing(host.socket_reader()) as reader:
        while not (found := reader.listeners(port)):
            if process.exit_code is not None or time.monotonic() >= deadline:
                return []
            on_wait()
            time.sleep(_STEP)
    return [listener.local for listener in found]


def said(process: ServerProcess) -> str:
    """Return a process's last output, as the end of an error."""
    return quoted(process.last_lines())
