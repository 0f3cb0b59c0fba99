"""Start the lab's own processes by fork: the client of halfopen.spawn.zygote."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, NoReturn

import msgspec

from halfopen.netns import bug_report
from halfopen.netns.bug_report import ForeignError
from halfopen.netns.forking import adopting
from halfopen.netns.host import Host
from halfopen.netns.lab_errors import LabError
from halfopen.spawn import process, zygote
from halfopen.spawn.process import Program, Started
from halfopen.spawn.zygote import MODULES, ForkAnswer, ForkRequest


class ForkedProcess:
    """A child of this process, forked by another. Satisfies halfopen.spawn.process.Started."""

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


class Forks:
    """A zygote, and the start of processes by it. Methods may be called from any thread."""

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._lock = threading.Lock()

    def start(self, host: Host, program: Program, keep_open: Sequence[Host]) -> Started:
        """Start ``program`` as halfopen.spawn.process.by_exec does, but by fork if it is one of ours.

        Raises OSError if it cannot be started, LabError if the zygote is gone, ForeignError for a bug in it.
        """
        module = _module(program.words)
        if module is None:
            return process.by_exec(host, program, keep_open)
        assert program == Program(program.words), f"nothing of ours is started elsewhere: {program}"
        request = ForkRequest(module, list(program.words[len(_python(module)) :]))
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            stdin, write = _pipe(theirs, ours, ours_writes=True)
            stdout, read = _pipe(theirs, ours, ours_writes=False)
            stderr, read_errors = _pipe(theirs, ours, ours_writes=False)
            descriptors = [stdin, stdout, stderr, host.fileno(), *(other.fileno() for other in keep_open)]
            pid = self._ask(request, descriptors)
            ours.pop_all()
        return ForkedProcess(pid, write, read, read_errors)

    def _ask(self, request: ForkRequest, descriptors: Sequence[int]) -> int:
        words = msgspec.json.encode(request)
        if len(words) > zygote.MOST:  # as execve(2) refuses longer ones
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), request.module)
        # Adopt no longer than needed: init reaps the processes that a server leaves behind.
        with self._lock, adopting():
            try:
                socket.send_fds(self._asking, [words], descriptors)
                packet = self._asking.recv(zygote.MOST)
            except (BrokenPipeError, ConnectionResetError):
                packet = b""
        if not packet:
            raise LabError(
                f"cannot start {request.module}: the process that forks the lab's own (halfopen.spawn.zygote) ended"
            )
        answer = msgspec.json.decode(packet, type=ForkAnswer)
        if answer.trace:
            raise ForeignError(answer.summary, answer.trace)
        if answer.error:
            raise OSError(answer.error, os.strerror(answer.error), request.module)
        return answer.pid


@contextlib.contextmanager
def forks() -> Iterator[Forks]:
    """Run a zygote, forked from this process, until the context is left.

    It has all modules that this process has imported. Call this before the process starts threads.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            # A collection would write to every object, and so copy every page in every process.
            gc.freeze()
            pid = os.fork()
            if not pid:
                _be_zygote(theirs)
        try:
            yield Forks(ours)
        finally:
            # It may be in the middle of an import, but has nothing to lose.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Have a zygote fork all our processes until the context is left; enter this like :func:`forks`."""
    with forks() as zygotes, process.started_by(zygotes.start):
        yield


def _be_zygote(theirs: socket.socket) -> NoReturn:
    code = 1
    try:
        # The zygote's processes must not inherit the open descriptors of this one.
        os.closerange(3, theirs.fileno())
        os.closerange(theirs.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        code = zygote.main(theirs)
    except BaseException as error:  # noqa: BLE001 (there is no caller)
        bug_report.show(error)
    finally:
        os._exit(code)


def _python(module: str) -> list[str]:
    return [sys.executable, "-P", "-m", module]


def _module(command: Sequence[str]) -> str | None:
    """Return the module of ours that a command runs, as our targets and clients start it; None for other commands."""
    return next((module for module in MODULES if list(command[: len(_python(module))]) == _python(module)), None)


def _pipe(theirs: contextlib.ExitStack, ours: contextlib.ExitStack, *, ours_writes: bool) -> tuple[int, IO[bytes]]:
    """Return their end of a new pipe and our own."""
    read, write = os.pipe()
    their_end, our_end = (read, write) if ours_writes else (write, read)
    theirs.callback(os.close, their_end)
    return their_end, ours.enter_context(os.fdopen(our_end, "wb" if ours_writes else "rb"))
