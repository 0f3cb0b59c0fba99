"""Run a function whose processes all end with it, if the machine refuses the pid namespace that would end them.

Three processes form a chain::

    caller ──fork──▶ guard ──fork──▶ worker, and all that it starts

Caller and guard are subreapers. A descendant that loses its parent becomes their child (PR_SET_CHILD_SUBREAPER,
prctl(2)), in whatever session it is. So the children of each process that dies pass to the next one above. When the
worker or the caller has ended, the guard kills its children until none is left. When the guard has ended, the caller
does so. Only a kill of both at once leaves processes behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from halfopen.netns import _libc, bug_report
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.forking import AWAITED, exit_code, flush, run_worker, wait_forwarding
from halfopen.netns.processes import children

#: Signal to the guard when its caller dies. It is blocked, like those that the caller forwards to the worker.
_CALLER_DIED = signal.SIGUSR1


def run(work: Callable[[Path], int], folder: Path) -> int:
    """Run ``work`` with a new folder in ``folder``, return its exit code, and end its processes and delete the folder.

    The code is 128 + n if signal n killed it. Call this before the process starts threads, since it forks.
    """
    flush()
    place = Path(tempfile.mkdtemp(prefix="halfopen-guest-", dir=folder))
    caller, before = os.getpid(), set(children(os.getpid()))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*AWAITED, _CALLER_DIED))
    _libc.adopt_orphans(True)
    try:
        guard = os.fork()
        if guard == 0:
            _run_guard(lambda: work(place), caller, place)
        code = exit_code(wait_forwarding(guard))
        # Finds none unless the guard was killed.
        _end_children(but=before)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        _libc.adopt_orphans(False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return code


def _run_guard(work: Callable[[], int], caller: int, place: Path) -> NoReturn:
    code: int = ExitCode.BUG
    try:
        # Leave the terminal's session: Ctrl-C comes from the caller, and only to the worker.
        os.setsid()
        _libc.adopt_orphans(True)
        _libc.die_with_parent(_CALLER_DIED)
        worker = os.fork()
        if worker == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [_CALLER_DIED])
            run_worker(work)
        # If it had died before, no signal would come.
        if os.getppid() == caller:
            code = _reap_until(worker)
        _end_children()
        shutil.rmtree(place, ignore_errors=True)
    except BaseException as error:  # noqa: BLE001 (there is no caller to raise it to)
        bug_report.show(error)
    finally:
        os._exit(code)


def _reap_until(worker: int) -> int:
    """Return the worker's exit code, or that of our bugs if the caller died first; then nobody receives it."""
    while signal.sigwaitinfo([signal.SIGCHLD, _CALLER_DIED]).si_signo == signal.SIGCHLD:
        # One signal may stand for several children.
        for pid, status in _ended():
            if pid == worker:
                return exit_code(status)
    return ExitCode.BUG


def _ended() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _end_children(but: set[int] | None = None) -> None:
    """Kill our children until none is left: each one that dies leaves us its own."""
    while left := set(children(os.getpid())) - (but or set()):
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            os.waitpid(pid, 0)
