"""A process of the lab whose output is read line by line, with the moment of each line."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from netns.host import Host

_KEPT_LINES = 40
#: What is longer comes in pieces, bytes.
_LONGEST_LINE = 1 << 16
_PATIENCE = 5.0

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run."""

    words: Sequence[str]
    folder: str | None = None
    """Where it starts; None: where we are."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it finds there beside our own environment."""


class Started(Protocol):
    """What was started, in a session of its own: as of subprocess.Popen, with pipes."""

    @property
    def pid(self) -> int:
        """Its process id; it is a child of this process."""
        ...

    @property
    def stdin(self) -> IO[bytes] | None:
        """What it reads."""
        ...

    @property
    def stdout(self) -> IO[bytes] | None:
        """What it prints."""
        ...

    @property
    def stderr(self) -> IO[bytes] | None:
        """What it prints of its troubles."""
        ...

    def poll(self) -> int | None:
        """The exit code (negative: the signal that killed it), None while it runs."""
        ...

    def wait(self) -> int:
        """Wait for its end; gives the exit code."""
        ...


#: Starts a program in a host, with hosts to keep open; raises OSError.
Start = Callable[[Host, Program, Sequence[Host]], Started]


class Output:
    """What something prints, read line by line as it comes, each stream in a thread of its own."""

    def __init__(self, *streams: tuple[IO[bytes] | None, OnLine | None]) -> None:
        self._tail: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._readers = [threading.Thread(target=self._read, args=one, daemon=True) for one in streams if one[0]]
        for reader in self._readers:
            reader.start()

    def tail(self) -> str:
        """The last line with anything on it; for errors."""
        return next((line for line in reversed(self._tail) if line.strip()), "")

    def finish(self) -> None:
        """Wait until all is read, of streams that are at their end."""
        until = time.monotonic() + _PATIENCE
        for reader in self._readers:
            reader.join(max(0.0, until - time.monotonic()))

    def _read(self, stream: IO[bytes], on_line: OnLine | None) -> None:
        with stream:
            while raw := stream.readline(_LONGEST_LINE):
                line = raw.decode(errors="replace").rstrip("\n")
                self._tail.append(line)
                if on_line is not None:
                    on_line(line)


class Process:
    """One running command and those it started, in a session of their own."""

    def __init__(self, started: Started, on_line: OnLine, on_error: OnLine | None = None) -> None:
        self._started = started
        self._output = Output((started.stdout, on_line), (started.stderr, on_error))
        self._heard_out = False

    @property
    def pid(self) -> int:
        """The process id of the command itself."""
        return self._started.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that killed it), None while it runs."""
        return self._started.poll()

    def tail(self) -> str:
        """The last line with anything on it that it printed, its last words if it has ended; for errors."""
        self.hear_out()
        return self._output.tail()

    def hear_out(self) -> None:
        """If it has ended, wait until all is read that it printed: its end may be known before.

        But only once, and not for long: others that it started may hold the streams open.
        """
        if not self._heard_out and self.exit_code is not None:
            self._output.finish()
            self._heard_out = True

    def write(self, text: str) -> None:
        """Write to its standard input; a process that is gone is told nothing."""
        assert self._started.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._started.stdin.write(text.encode())
            self._started.stdin.flush()

    def stop(self) -> None:
        """End the whole session (SIGKILL) and wait until its output is read.

        Children that left the session die with the lab's pid namespace.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._started.pid, signal.SIGKILL)
        self._started.wait()
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


#: The program's, not each lab's: there is one way to start processes that fits where the program runs.
_start: Start = by_exec


@contextlib.contextmanager
def started_by(start: Start) -> Iterator[None]:
    """Have all processes started by ``start`` until the context is left."""
    global _start  # noqa: PLW0603
    before, _start = _start, start
    try:
        yield
    finally:
        _start = before


@contextlib.contextmanager
def running(
    host: Host, program: Program, on_line: OnLine, on_error: OnLine | None = None, *, keep_open: Sequence[Host] = ()
) -> Iterator[Process]:
    """Run ``program`` in ``host`` until the context is left; raises OSError if it cannot be started.

    ``on_line`` is called with each line that it prints, ``on_error`` with each of its standard error.

    ``keep_open`` are hosts that must not vanish before the process does: it inherits them. Their
    namespaces would otherwise go first when everything is killed at once, and with them the way for
    the resets that end the connections on the other side.
    """
    process = Process(_start(host, program, keep_open), on_line, on_error)
    try:
        yield process
    finally:
        process.stop()
