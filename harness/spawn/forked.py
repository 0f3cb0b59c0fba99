"""Start the lab's own processes by fork, with their modules already imported.

Starting Python and importing a pod or a client takes longer than many runs. In a guest, where waiting is free, it is
most of the cost. A zygote, forked from this process, forks them. Each packet on its socket is a ForkRequest, with its
descriptors, and gets a ForkAnswer. An error of ours is answered too (halfopen.spawn.peers.Broken), and ends the zygote,
as the end of the socket does.

The new process is not a child of the zygote but of the requester, which adopts it (halfopen.netns.forking). So the
requester can wait for it, and learns of its stops, as for its own children.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NoReturn

import msgspec

from halfopen.netns import bug_report
from halfopen.netns.forking import adopting, exit_code_of, flush, fork_away
from halfopen.netns.host import Host
from halfopen.netns.lab_errors import LabError
from halfopen.spawn import peers, process
from halfopen.spawn.peers import Broken, command
from halfopen.spawn.process import ForkedProcess, Program, Started

#: Modules that can be started: packages that ``python -m`` runs, whose ``__main__`` has a function ``main``.
_MODULES = ("halfopen.pod", "halfopen.clients")
#: Most descriptors in one request; the kernel takes 253 (SCM_MAX_FD, unix(7)).
_MOST_DESCRIPTORS = 64
#: Most bytes in a request, and in an answer.
_MOST = 1 << 16
_LONGEST_TRACE = 1 << 13
#: Index of the network namespace among the descriptors.
_NAMESPACE = 3


class ForkRequest(msgspec.Struct, frozen=True):
    """A process to start.

    With it come its standard input, output and error, its network namespace, and the descriptors that it must hold
    open.
    """

    module: str
    arguments: list[str]


class ForkAnswer(msgspec.Struct, frozen=True, tag="answer"):
    """The process's id, or the errno(3) of the failure."""

    pid: int = 0
    error: int = 0


class Forks:
    """A zygote, and the start of processes by it. Methods may be called from any thread."""

    def __init__(self, asking: socket.socket) -> None:
        self._asking = asking
        self._lock = threading.Lock()

    def start(self, host: Host, program: Program, keep_open: Sequence[Host]) -> Started:
        """Start ``program`` as halfopen.spawn.process.by_exec does, but by fork if it is one of ours.

        Raises OSError if it cannot be started, LabError if the zygote is gone, ForeignError for a bug in it.
        """
        words = list(program.words)
        module = next((module for module in _MODULES if words[: len(command(module))] == command(module)), None)
        if module is None:
            return process.by_exec(host, program, keep_open)
        assert program == Program(program.words), f"nothing of ours is started elsewhere: {program}"
        request = ForkRequest(module, words[len(command(module)) :])
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
        if len(words) > _MOST:  # as execve(2) refuses longer ones
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), request.module)
        # Adopt no longer than needed: init reaps the processes that a server leaves behind.
        with self._lock, adopting():
            try:
                socket.send_fds(self._asking, [words], descriptors)
                packet = self._asking.recv(_MOST)
            except (BrokenPipeError, ConnectionResetError):
                packet = b""
        if not packet:
            raise LabError(
                f"cannot start {request.module}: the process that forks the lab's own (halfopen.spawn.forked) ended"
            )
        answer: ForkAnswer = peers.decode(packet, ForkAnswer)
        if answer.error:
            raise OSError(answer.error, os.strerror(answer.error), request.module)
        return answer.pid


def _pipe(theirs: contextlib.ExitStack, ours: contextlib.ExitStack, *, ours_writes: bool) -> tuple[int, IO[bytes]]:
    """Return their end of a new pipe and our own."""
    read, write = os.pipe()
    their_end, our_end = (read, write) if ours_writes else (write, read)
    theirs.callback(os.close, their_end)
    return their_end, ours.enter_context(os.fdopen(our_end, "wb" if ours_writes else "rb"))


@contextlib.contextmanager
def forking() -> Iterator[Forks]:
    """Have a zygote fork all our processes until the context is left.

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
            forks = Forks(ours)
            with process.started_by(forks.start):
                yield forks
        finally:
            # It may be in the middle of an import, but has nothing to lose.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _be_zygote(theirs: socket.socket) -> NoReturn:
    code = 1
    try:
        # The zygote's processes must not inherit the open descriptors of this one.
        os.closerange(3, theirs.fileno())
        os.closerange(theirs.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        code = _answer_requests(theirs)
    except BaseException as error:  # noqa: BLE001 (there is no caller)
        bug_report.show(error)
    finally:
        os._exit(code)


def _answer_requests(asked: socket.socket) -> int:
    """Answer requests until the socket ends, then return 0; in each forked process, run that process.

    An error of ours is answered, and returns 1.
    """
    try:
        return _serve(asked)
    except Exception as error:  # noqa: BLE001 (raised by the requester)
        broken = Broken.by(error)
        asked.send(msgspec.json.encode(Broken(broken.summary, broken.trace[-_LONGEST_TRACE:])))
        return 1


def _serve(asked: socket.socket) -> int:
    while True:
        packet, descriptors, _, _ = socket.recv_fds(asked, _MOST, _MOST_DESCRIPTORS)
        if not packet:
            return 0
        request = msgspec.json.decode(packet, type=ForkRequest)
        main_of_it = _main_of(request.module)
        try:
            answer = ForkAnswer(pid=fork_away(descriptors[_NAMESPACE]))
        except OSError as error:
            answer = ForkAnswer(error=error.errno or 0)
        else:
            if not answer.pid:
                # An open copy of the socket would hide the zygote's end from the requester.
                asked.close()
                _become(descriptors)
                sys.argv[1:] = request.arguments
                _run(main_of_it)
        for descriptor in descriptors:
            os.close(descriptor)
        asked.send(msgspec.json.encode(answer))


@functools.cache
def _main_of(module: str) -> Callable[[], int | None]:
    """Return the function ``main`` of a package's ``__main__``, imported once and before the fork."""
    main_of_it: Callable[[], int | None] = importlib.import_module(f"{module}.__main__").main
    # A collection would write to every new object, and so copy its page in every process.
    gc.freeze()
    return main_of_it


def _become(descriptors: Sequence[int]) -> None:
    """Take standard input, output and error from the first three descriptors; close them and the namespace's."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors[: _NAMESPACE + 1]:
        os.close(descriptor)
    # As Python opens them at its start (Py_InitializeFromConfig): those from before the fork belong to another process.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _run(main_of_it: Callable[[], int | None]) -> NoReturn:
    """Run a process to its end. It exits as others do, but without freeing its objects.

    Freeing an object writes to it, which would copy every page. Functions registered with atexit are not run.
    """
    code: int | None = 1
    try:
        code = main_of_it()
    except SystemExit as leaving:
        code = exit_code_of(leaving)
    except Exception:  # noqa: BLE001 (there is no caller)
        traceback.print_exc()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    flush()
    os._exit(code or 0)
