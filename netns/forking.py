"""Both sides of a fork: the caller waits and forwards signals, the worker ends with an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from halfopen.netns import _libc, bug_report
from halfopen.netns.exit_codes import ExitCode

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
#: Signals that callers of wait_forwarding block before they fork; run_worker unblocks them.
AWAITED = (*_FORWARDED, signal.SIGCHLD)


def flush() -> None:
    """Flush standard output and error. They may be closed, or full, or None (sys.stdout if fd 1 is closed)."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def exit_code(status: int) -> int:
    """Return a shell's exit code for a wait(2) status."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _is_ignored(number: int) -> bool:
    """True for a hang-up that is ignored, as under nohup(1), whose commands must survive it."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def wait_forwarding(child: int) -> int:
    """Return the child's wait status; meanwhile forward stop signals to its session, which the terminal does not reach.

    An ignored hang-up is not forwarded.
    """
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        number = signal.sigwaitinfo(AWAITED).si_signo
        # sigwaitinfo also returns ignored signals, since they are blocked.
        if number != signal.SIGCHLD and not _is_ignored(number):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, number)


def run_worker(work: Callable[[], int]) -> NoReturn:
    """Run ``work`` in this newly forked process, and exit with its exit code."""
    code: int = ExitCode.BUG
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            if not _is_ignored(number):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
        code = work()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except SystemExit as leaving:
        code = exit_code_of(leaving)
    except BaseException as error:  # noqa: BLE001 (there is no caller to raise it to)
        bug_report.show(error)
    finally:
        flush()
        os._exit(code)


def exit_code_of(leaving: SystemExit) -> int:
    """Return the interpreter's exit code for sys.exit: None is success; a text is printed, and is failure."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def fork_away(namespace: int) -> int:
    """Fork a process into a network namespace, in a session of its own, and not as a child of this process.

    Its parent is the nearest ancestor that adopts (see :func:`adopting`). ``namespace`` is a descriptor. Like os.fork,
    it returns the new id here and 0 there. Raises OSError here on failure. Call it only while there is one thread.
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
    # Only once it has its session, so that a reader of its id can kill its group.
    os.write(tell, f"{os.getpid()} 0".encode())
    os.close(tell)
    return 0


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Adopt orphaned descendants until the context is left (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.adopt_orphans(True)
    try:
        yield
    finally:
        _libc.adopt_orphans(False)
