"""Runs a function whose processes all end with it, where the machine refuses the namespace that would see to that.

Three processes stand in a row::

    caller ──fork──▶ guard ──fork──▶ worker, and all that it starts

Caller and guard are subreapers: a process below them that loses its parent becomes their child
(PR_SET_CHILD_SUBREAPER, prctl(2)), in whatever session it is. So whoever dies leaves its children to
the next above. When the worker has ended, or the caller, the guard kills its children until it has none;
when the guard has, the caller does. Only who kills both at once leaves something behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from halfopen.netns import _libc
from halfopen.netns.forking import AWAITED, BUG, exit_code, flush, run_worker, wait_forwarding
from halfopen.netns.guest.children import stats

#: What the guard gets when its caller dies; blocked, as those are that the caller passes on to the worker.
_CALLER_DIED = signal.SIGUSR1


def run(work: Callable[[Path], int], folder: Path) -> int:
    """Do ``work`` with a new folder in ``folder`` and give its exit code; then its processes and that folder are gone.

    The code is 128 + n if signal n killed it. Must be called before the process has started threads,
    since it forks.
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
        # Nothing, unless the guard was killed.
        _end_children(but=before)
        shutil.rmtree(place, ignore_errors=True)
    finally:
        _libc.adopt_orphans(False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return code


def _run_guard(work: Callable[[], int], caller: int, place: Path) -> NoReturn:
    code = BUG
    try:
        # Out of the terminal's reach: Ctrl-C comes from the caller, and only to the worker.
        os.setsid()
        _libc.adopt_orphans(True)
        _libc.die_with_parent(_CALLER_DIED)
        worker = os.fork()
        if worker == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [_CALLER_DIED])
            run_worker(work)
        # Had it died before, no signal would come.
        if os.getppid() == caller:
            code = _reap_until(worker)
        _end_children()
        shutil.rmtree(place, ignore_errors=True)
    except BaseException:  # noqa: BLE001 (there is nobody above to raise it to)
        traceback.print_exc()
    finally:
        os._exit(code)


def _reap_until(worker: int) -> int:
    """The worker's exit code, or the one for our bugs if the caller died first, which then nobody hears."""
    while signal.sigwaitinfo([signal.SIGCHLD, _CALLER_DIED]).si_signo == signal.SIGCHLD:
        # One signal may stand for several children.
        for pid, status in _ended():
            if pid == worker:
                return exit_code(status)
    return BUG


def _ended() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _end_children(but: set[int] | None = None) -> None:
    """Kill our children until there are none: each leaves us its own when it is gone."""
    while left := set(children(os.getpid())) - (but or set()):
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            os.waitpid(pid, 0)


def children(parent: int) -> list[int]:
    """The processes whose parent this is, zombies too, in no order (proc(5), /proc/PID/stat)."""
    return list(stats(parent))
