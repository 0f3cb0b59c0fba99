"""What stands above and below a fork: a caller that waits and passes signals on, a worker that ends in an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from halfopen.netns import _libc

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
#: To be blocked by who calls wait_forwarding, before it forks; run_worker lets them in again.
AWAITED = (*_FORWARDED, signal.SIGCHLD)

#: The exit code for our own bugs (EX_SOFTWARE, sysexits.h), so that none is taken for a verdict.
BUG = 70


def flush() -> None:
    """Bring out what was printed; streams may be closed, or full, or None (sys.stdout, where fd 1 is closed)."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def exit_code(status: int) -> int:
    """A shell's exit code for a wait(2) status."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _is_ignored(number: int) -> bool:
    """Whether it is a hang-up, and ignored: nohup(1) has what it starts live on."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def wait_forwarding(child: int) -> int:
    """The child's wait status; meanwhile "stop" is passed on to its session, which the terminal does not reach.

    A hang-up that is ignored is not.
    """
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        number = signal.sigwaitinfo(AWAITED).si_signo
        # What is ignored is awaited all the same, since it is blocked.
        if number != signal.SIGCHLD and not _is_ignored(number):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, number)


def run_worker(work: Callable[[], int]) -> NoReturn:
    """Do ``work`` in a process of its own, just forked, and end with its exit code."""
    code = BUG
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            if not _is_ignored(number):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
        code = work()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as leaving:
        code = exit_code_of(leaving)
    except BaseException:  # noqa: BLE001 (there is nobody above to raise it to)
        traceback.print_exc()
    finally:
        flush()
        os._exit(code)


def exit_code_of(leaving: SystemExit) -> int:
    """What the interpreter makes of it (sys.exit): nothing is success, a text is said and is failure."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def fork_away(namespace: int) -> int:
    """Fork a process that is in a network namespace, in a session of its own, and no child of this one.

    Its parent is the nearest process above that adopts (see :func:`adopting`). ``namespace`` is a descriptor. Like
    os.fork, gives its id here and 0 there. Raises OSError if it cannot be, here; to be called where there is one
    thread only.
    """
    hear, tell = os.pipe()
    between = os.fork()
    if between:
        os.close(tell)
        with os.fdopen(hear) as telling:
            told = telling.read()
        os.waitpid(between, 0)
        pid, error = map(int, told.split())
        if error:
            raise OSError(error, os.strerror(error))
        return pid
    os.close(hear)
    try:
        _libc.setns(namespace, _libc.CLONE_NEWNET)
        if os.fork():
            os._exit(0)
        os.setsid()
    except OSError as error:
        os.write(tell, f"0 {error.errno}".encode())
        os._exit(1)
    # Not before it has its session, so that whoever knows it can kill its group.
    os.write(tell, f"{os.getpid()} 0".encode())
    os.close(tell)
    return 0


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Be the parent of those below who lose theirs, until the context is left (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.adopt_orphans(True)
    try:
        yield
    finally:
        _libc.adopt_orphans(False)
