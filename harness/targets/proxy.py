"""Run a proxy in a host until it is no longer needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from halfopen.errors import TargetError
from halfopen.model.journal import Journal
from halfopen.model.printed_stacks import TIME_OF_DAY
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address
from halfopen.scenario.spec import Edge
from halfopen.spawn.process import Process, Program, running
from halfopen.targets.readiness import listeners, said

_READY_WITHIN = 30.0
#: Seconds within which a proxy ends, and seconds between checks. The fast shutdown of nginx and HAProxy takes none.
_ENDS_WITHIN, _STEP = 20.0, 0.02
#: Debian's folders of servers, which are not on every user's path.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def find_program(edge: Edge) -> str | None:
    """Return the path of the proxy's program; None if it is not installed."""
    name: str = edge.module.PROGRAM
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


class EdgeProcess:
    """A proxy that can be ended and started again."""

    def __init__(self, edge: Edge, host: Host, listen: Address, journal: Journal, keep_open: Sequence[Host]) -> None:
        self._edge, self._host, self._listen = edge, host, listen
        self._journal, self._keep_open = journal, keep_open
        self._running = contextlib.ExitStack()
        self._process: Process | None = None

    def start(self, command: Sequence[str]) -> None:
        """Start it and wait until it listens; raises TargetError if it does not."""
        self._command = command
        starting = running(self._host, Program(command), self._note, self._note, keep_open=self._keep_open)
        self._process = process = self._running.enter_context(starting)
        if not listeners(self._host, self._listen.port, process, time.monotonic() + _READY_WITHIN):
            code = process.exit_code
            problem = f"was silent for {_READY_WITHIN:g}s" if code is None else f"ended with exit code {code}"
            raise TargetError(f"the proxy {self._edge.proxy!r} {problem} before it listened{said(process)}")

    @contextlib.contextmanager
    def down(self, by: str) -> Iterator[None]:
        """End it by ``term`` or ``kill``, and start it again when the context is left; raises TimeoutError."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGTERM if by == "term" else signal.SIGKILL)
        until = time.monotonic() + _ENDS_WITHIN
        while self._process.exit_code is None:
            if time.monotonic() >= until:
                raise TimeoutError(
                    f"the proxy {self._edge.proxy!r} did not end within {_ENDS_WITHIN:g}s of SIG{by.upper()}"
                )
            time.sleep(_STEP)
        try:
            yield
        finally:
            self._running.close()
            self.start(self._command)

    def close(self) -> None:
        """End it."""
        self._running.close()

    def _note(self, line: str) -> None:
        # Without the time of day, so that equal runs have equal timelines.
        self._journal.note("edge", "output", text=TIME_OF_DAY.sub("", line), proxy=self._edge.proxy)


@contextlib.contextmanager
def proxy(
    edge: Edge, host: Host, listen: Address, upstream: Address, journal: Journal, keep_open: Sequence[Host]
) -> Iterator[EdgeProcess]:
    """Run the proxy in ``host`` until the context is left; raises TargetError if it does not listen."""
    with (
        tempfile.TemporaryDirectory(prefix="halfopen-edge-") as folder,
        contextlib.closing(EdgeProcess(edge, host, listen, journal, keep_open)) as process,
    ):
        file = Path(folder, "config")
        file.write_text(edge.module.config(listen, upstream, Path(folder)))
        process.start(edge.module.command(find_program(edge) or edge.module.PROGRAM, file))
        yield process
