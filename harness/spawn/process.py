"""A process of the lab whose output is read line by line as it is printed."""

from __future__ import annotations

import collections
import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from halfopen.netns.host import Host

#: Number of last lines that are kept, and that errors quote at most.
_KEPT_LINES, _QUOTED_LINES = 40, 25
#: Longest line, bytes; longer ones are split.
_LONGEST_LINE = 1 << 16
#: Most bytes in a pipe (pipe(7), pipe-max-size). Processes left behind may print without a pause.
_MOST_IN_A_PIPE = 1 << 20
_PATIENCE = 5.0

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A command to run."""

    words: Sequence[str]
    folder: str | None = None
    """Working directory; None: ours."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables in addition to our own."""


class ForkedProcess:
    """A child of this process, forked by another, with the interface of subprocess.Popen."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._exit_code: int | None = None
        self._waiting = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that killed it); None while it runs."""
        # A thread that waits for its end meanwhile soon has the code.
        if self._exit_code is None and self._waiting.acquire(blocking=False):
            try:
                self._reap(os.WNOHANG)
            finally:
                self._waiting.release()
        return self._exit_code

    def wait(self) -> int:
        """Wait for its end; return the exit code."""
        with self._waiting:
            self._reap(0)
        assert self._exit_code is not None
        return self._exit_code

    def _reap(self, options: int) -> None:
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)


#: A started process, in a session of its own, with pipes.
Started = subprocess.Popen[bytes] | ForkedProcess
#: Starts a program in a host and keeps other hosts open for it; raises OSError.
Start = Callable[[Host, Program, Sequence[Host]], Started]


class _Reader(threading.Thread):
    """Reports the lines of one stream as they arrive, and knows when all output up to a moment is reported."""

    def __init__(self, stream: IO[bytes], on_line: OnLine) -> None:
        super().__init__(daemon=True)
        self._stream, self._on_line = stream, on_line
        # Held while a piece is read from the pipe, since it is counted nowhere then.
        self._taking = threading.Lock()
        self._taken = self._told = 0
        self._wanted: int | None = None
        self._is_over = False
        self.start()

    def run(self) -> None:
        """Report lines until the stream ends."""
        with self._stream:
            try:
                for raw in self._lines():
                    self._on_line(raw.decode(errors="replace").rstrip("\n"))
            finally:
                with self._taking:
                    self._is_over = True

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while piece := self._take():
            rest += piece
            while (end := rest.find(b"\n", 0, _LONGEST_LINE) + 1) or len(rest) >= _LONGEST_LINE:
                line, rest = rest[: end or _LONGEST_LINE], rest[end or _LONGEST_LINE :]
                yield line
            self._told += len(piece)
        if rest:
            yield rest

    def _take(self) -> bytes:
        self._is_readable(None)
        with self._taking:
            piece = os.read(self._stream.fileno(), _LONGEST_LINE)
            self._taken += len(piece)
        return piece

    def _is_readable(self, patience: float | None) -> bool:
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        return bool(poll.poll(patience))

    def has_told(self) -> bool:
        """True once all output from before the first call is reported."""
        with self._taking:
            if self._is_over:
                return True
            if self._wanted is None:
                self._wanted = self._taken + _MOST_IN_A_PIPE
            if self._told == self._taken and not self._is_readable(0):
                self._wanted = self._told  # later output does not change this
            return self._told >= self._wanted


class Output:
    """Output streams, read line by line as it arrives, each in a thread of its own."""

    def __init__(self, *streams: tuple[IO[bytes] | None, OnLine | None]) -> None:
        self._tail: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._readers = [_Reader(stream, partial(self._keep, on_line)) for stream, on_line in streams if stream]

    def tail(self, lines: int = 1) -> str:
        """Return the last non-blank lines as one, with a bar between them; for errors."""
        return " | ".join([line.strip() for line in self._tail if line.strip()][-lines:])

    def last_lines(self) -> list[str]:
        """Return the last lines; for errors."""
        return list(self._tail)[-_QUOTED_LINES:]

    def has_told(self) -> bool:
        """True once all output from before the first call is read."""
        return all(reader.has_told() for reader in self._readers)

    def finish(self) -> None:
        """Wait until all streams that are at their end are read."""
        until = time.monotonic() + _PATIENCE
        for reader in self._readers:
            reader.join(max(0.0, until - time.monotonic()))

    def _keep(self, on_line: OnLine | None, line: str) -> None:
        self._tail.append(line)
        if on_line is not None:
            on_line(line)


class Process:
    """One running command and its descendants, in a session of their own."""

    def __init__(self, started: Started, on_line: OnLine, on_error: OnLine | None = None) -> None:
        self._started = started
        self._output = Output((started.stdout, on_line), (started.stderr, on_error))

    @property
    def pid(self) -> int:
        """The process id of the command itself."""
        return self._started.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that killed it); None while it runs.

        It also stays None until the output is read, so that the end is reported after the last line.
        """
        code = self._started.poll()
        return code if code is None or self._output.has_told() else None

    def tail(self, lines: int = 1) -> str:
        """Return the last non-blank lines of its output as one, with a bar between them; for errors."""
        return self._output.tail(lines)

    def last_lines(self) -> list[str]:
        """Return the last lines of its output; for errors."""
        return self._output.last_lines()

    def write(self, text: str) -> None:
        """Write to its standard input; do nothing if the process is gone."""
        assert self._started.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._started.stdin.write(text.encode())
            self._started.stdin.flush()

    def stop(self, end_others: Callable[[], None] = lambda: None) -> None:
        """End the whole session (SIGKILL) and wait until its output is read.

        ``end_others`` ends children that left the session, which may hold the output open. Without it they die with the
        lab's pid namespace.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._started.pid, signal.SIGKILL)
        self._started.wait()
        try:
            end_others()
        finally:
            self._output.finish()
            if self._started.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._started.stdin.close()


def by_exec(host: Host, program: Program, keep_open: Sequence[Host]) -> Started:
    """Start any program; raises OSError."""
    return host.spawn(
        program.words,
        cwd=program.folder,
        env=os.environ | program.environment if program.environment else None,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[other.fileno() for other in keep_open],
    )


#: Global, not per lab: one way to start processes fits the place where this program runs.
_start: Start = by_exec


@contextlib.contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Start all processes by ``start`` until the context is left."""
    global _start  # noqa: PLW0603
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before


@contextlib.contextmanager
def running(
    host: Host,
    program: Program,
    on_line: OnLine,
    on_error: OnLine | None = None,
    *,
    keep_open: Sequence[Host] = (),
    alone: bool = False,
) -> Iterator[Process]:
    """Run ``program`` in ``host`` until the context is left; raises OSError if it cannot be started.

    ``on_line`` is called with each line of its output, ``on_error`` with each of its standard error.

    ``keep_open`` are hosts that must not vanish before the process does; it inherits them. Otherwise, if everything is
    killed at once, their namespaces would go first. The resets that end the connections on the other side could then
    not travel.

    If the program is ``alone`` in the host, everything else there is its descendant, and ends with it. Raises
    TeardownError for what does not.
    """
    process = Process(_start(host, program, keep_open), on_line, on_error)
    try:
        yield process
    finally:
        process.stop(host.kill_all if alone else lambda: None)
