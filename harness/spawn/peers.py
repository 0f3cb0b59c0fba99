"""Run a module of ours in another process and exchange typed messages with it, one JSON line each.

:class:`Child` is the side that starts the process, :class:`Parent` the side of the process itself. They share a socket,
which is the process's standard input and output. halfopen.spawn.guest_peer does the same with a guest.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from halfopen.netns import bug_report, capabilities
from halfopen.netns.bug_report import ForeignError
from halfopen.netns.exit_codes import ExitCode


class PeerUp(msgspec.Struct, frozen=True, tag="up"):
    """The peer is up, on this kernel."""

    kernel: str = msgspec.field(default_factory=capabilities.kernel_release)
    congestion_control: str | None = msgspec.field(default_factory=capabilities.congestion_control)


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A request or task is refused. ``why`` is written for the user."""

    why: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """An error of ours, in one line, and its traceback. It is raised where it is received, as ForeignError."""

    summary: str
    trace: str

    @classmethod
    def by(cls, error: BaseException) -> Self:
        """Describe an error."""
        return cls(bug_report.summary(error), bug_report.trace(error))


class PeerLostError(Exception):
    """The peer is gone."""


def command(module: str) -> list[str]:
    """Return the command that runs a module of ours."""
    # -P: a folder called harness in the user's current directory must not stand in for ours.
    return [sys.executable, "-P", "-m", module]


def decode(line: bytes, kind: Any) -> Any:
    """Return the message of this ``kind`` in a line; raises ForeignError for an error of ours in the peer."""
    message = msgspec.json.decode(line, type=kind | Broken)
    if isinstance(message, Broken):
        raise ForeignError(message.summary, message.trace)
    return message


def _line(message: Any) -> bytes:
    return msgspec.json.encode(message) + b"\n"


class Sender:
    """Sends messages over a stream. Thread-safe."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message; do nothing if nobody is there any more. Raises TypeError for what JSON lacks."""
        self._write(_line(message))

    @contextlib.contextmanager
    def sending_bugs(self) -> Iterator[None]:
        """Send an unexpected error in the context, and exit with ExitCode.BUG."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 (raised on the other side)
            self.send(Broken.by(error))
            sys.exit(ExitCode.BUG)

    def _write(self, line: bytes) -> None:
        with self._lock, contextlib.suppress(ConnectionError):
            self._stream.write(line)
            self._stream.flush()


class Child(Sender):
    """A running module, and the connection to it. Thread-safe."""

    def __init__(
        self,
        module: str,
        kind: Any,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        keeps_errors: bool = True,
    ) -> None:
        """Start a module whose messages are of this ``kind``. ``keeps_errors`` keeps its stderr for ``last_words``."""
        self._kind = kind
        self._errors = tempfile.TemporaryFile() if keeps_errors else None  # noqa: SIM115 (closed with the child)
        self._asking = threading.Lock()
        self._awaits = False
        self._socket, theirs = socket.socketpair()
        self._reader = self._socket.makefile("rb")
        super().__init__(self._socket.makefile("wb"))
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command(module),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                cwd=folder,
                env=environment,
                # Signals from the terminal must not reach it. This process ends it.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def receive(self) -> Any:
        """Return the next message; raises PeerLostError, ForeignError."""
        line = b""
        with contextlib.suppress(ConnectionError):
            line = self._reader.readline()
        # A line is cut off if the child is killed.
        if not line.endswith(b"\n"):
            raise PeerLostError
        return decode(line, self._kind)

    def ask(self, request: Any) -> Any:
        """Send a request and return the answer.

        Raises PeerLostError, also for all after an interrupted one, and ForeignError.
        """
        with self._asking:
            if self._awaits:
                raise PeerLostError("a wait for its answer was interrupted")
            line = _line(request)
            # An interrupted wait would leave its answer to the next request.
            self._awaits = True
            self._write(line)
            try:
                answer = self.receive()
            except ForeignError:
                self._awaits = False
                raise
            self._awaits = False
        return answer

    def says(self, within: float) -> bool:
        """True if a message, or the child's end, comes within some seconds."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(within * 1000))

    def last_words(self) -> str:
        """Wait for the end of the process; return its errors or its exit code."""
        code = self._process.wait()
        said = b""
        if self._errors is not None:
            self._errors.seek(0)
            said = self._errors.read()
        return said.decode(errors="replace").strip() or f"exit code {code}, without a word"

    def close(self, patience: float | None = 30.0) -> None:
        """Tell the child to end by closing the connection; wait until it has, or kill it after some seconds."""
        # Closing would not end the connection while a process forked meanwhile lives on.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._reader, self._stream, self._socket):
            with contextlib.suppress(ConnectionError):
                stream.close()
        if self._errors is not None:
            self._errors.close()


class Parent(Sender):
    """The process that started this one. Standard output leads to standard error from here on."""

    def __init__(self, kind: Any) -> None:
        """Expect messages of this ``kind``."""
        super().__init__(os.fdopen(os.dup(1), "wb"))
        # Other output of this process must not be taken for a message.
        os.dup2(2, 1)
        self._kind = kind
        self._state = threading.Lock()
        self._is_busy = True
        self._is_gone = False

    def receive(self) -> Any:
        """Return the next message; None if the parent is gone, or wants this process to end."""
        self._is_busy = False
        line = b""
        # A parent that was killed before it read all messages resets the connection.
        with contextlib.suppress(ConnectionError):
            line = sys.stdin.buffer.readline()
        with self._state:
            self._is_busy = line.endswith(b"\n")
            if not self._is_busy:
                return None
            if self._is_gone:
                raise KeyboardInterrupt
        return msgspec.json.decode(line, type=self._kind)

    def interrupt_when_gone(self) -> None:
        """Interrupt the main thread as Ctrl-C does once the parent is gone, unless it waits in ``receive``.

        Starts a thread, so call this after all forks.
        """
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def _watch(self) -> None:
        poll = select.poll()
        # Also ends for a socket or pipe that is closed (POLLHUP). Messages not yet read do not matter.
        poll.register(0, select.POLLRDHUP)
        poll.poll()
        with self._state:
            self._is_gone = True
            if self._is_busy:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
