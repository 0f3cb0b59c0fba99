"""Run a function in user, pid, mount and network namespaces of its own, which end when it ends.

Four processes form a chain, so that the death of any of them leaves nothing behind::

    launcher ──fork──▶ gate ──fork──▶ init (pid 1) ──fork──▶ worker, and all that it starts

The *launcher* is the caller; it forwards signals and returns the exit code. The *gate* unshares, because a pid
namespace only takes in children. *init* reaps; when it ends, the kernel kills everything in the pid namespace before
any parent learns of it. Each one dies with the one before it (PR_SET_PDEATHSIG), so after a SIGKILL of the launcher the
kernel ends the lab, not our code.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from halfopen.netns import _libc, bug_report, capabilities
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.forking import AWAITED, exit_code, flush, run_worker, wait_forwarding
from halfopen.netns.lab_errors import IsolationError

_NAMESPACES = _libc.CLONE_NEWPID | _libc.CLONE_NEWNS | _libc.CLONE_NEWNET


def run(work: Callable[[], int], private: Path | None = None, *, is_brief: bool = False) -> int:
    """Run ``work`` in namespaces of its own and return its exit code (128 + n if signal n killed it).

    Root keeps its user namespace if the kernel allows it; all others become root in a new one. In the new namespaces
    the folder ``private`` is a tmpfs that no other process sees. Call this before the process starts threads, since it
    forks.

    A stop signal is forwarded to ``work``, which may handle it as it likes. If work ``is_brief``, the signal waits for
    its end instead, and the caller then receives it. If it were forwarded too late, nobody would receive it.

    Raises IsolationError, with the setting that forbids it and the remedy, if the kernel refuses.
    """
    alive_read, alive_write = os.pipe()
    report_read, report_write = os.pipe()
    flush()
    launcher = os.getpid()
    # Received by sigwaitinfo here and by the worker there. So none is lost before there is a worker, and none slips in
    # between the check for signals and the wait.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    try:
        gate = os.fork()
        if gate == 0:
            os.close(report_read)
            alive = alive_read, alive_write
            _exit_with(lambda: _run_gate(work, private, launcher, alive, report_write), report_write)
        for fd in (alive_read, alive_write, report_write):
            os.close(fd)
        with os.fdopen(report_read, "rb") as report:
            refusal = report.read().decode()
        status = os.waitpid(gate, 0)[1] if is_brief else wait_forwarding(gate)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if refusal:
        raise IsolationError(refusal)
    return exit_code(status)


def _run_gate(work: Callable[[], int], private: Path | None, launcher: int, alive: tuple[int, int], report: int) -> int:
    alive_read, alive_write = alive
    os.setsid()
    in_new_user_namespace = _unshare(os.geteuid(), os.getegid())
    # After the change of credentials, which clears it (prctl(2)).
    _libc.die_with_parent(signal.SIGKILL)
    if os.getppid() != launcher:
        return ExitCode.BUG
    init = os.fork()
    if init == 0:
        os.close(alive_write)
        _exit_with(lambda: _run_init(work, private, alive_read, report, in_new_user_namespace), report)
    os.close(report)
    return exit_code(os.waitpid(init, 0)[1])


def _run_init(
    work: Callable[[], int], private: Path | None, alive: int, report: int, in_new_user_namespace: bool
) -> int:
    _libc.die_with_parent(signal.SIGKILL)
    # The gate holds the other end. If it is gone already, no signal will come.
    if select.select([alive], [], [], 0)[0]:
        return ExitCode.BUG
    _mount(in_new_user_namespace)
    if private is not None:
        _libc.mount("tmpfs", str(private), "tmpfs", 0)
    worker = os.fork()
    if worker == 0:
        os.close(alive)
        os.close(report)
        run_worker(work)
    os.close(report)
    return _reap_until(worker)


def _exit_with(work: Callable[[], int], report: int) -> NoReturn:
    """Exit with the exit code of ``work``; report a refusal of the kernel."""
    code: int = ExitCode.BUG
    try:
        code = work()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(report, capabilities.why_no_isolation(error).encode())
    except BaseException as error:  # noqa: BLE001 (there is no caller to raise it to)
        bug_report.show(error)
    finally:
        os._exit(code)


def _reap_until(worker: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == worker:
            return exit_code(status)


def _unshare(uid: int, gid: int) -> bool:
    """Enter new namespaces, with a user namespace only if needed; return True if it was."""
    if capabilities.may_administer():
        _libc.unshare(_NAMESPACES)
        return False
    _libc.unshare(_NAMESPACES | _libc.CLONE_NEWUSER)
    # Without "deny" an ordinary user may not map its group (user_namespaces(7)).
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        _write(f"/proc/self/{name}", text)
    return True


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:  # a refused write, unlike a refused open, does not name the file
        raise OSError(error.errno, error.strerror, f"writing {path}") from error


def _mount(in_new_user_namespace: bool) -> None:
    # Our mounts must not be visible outside. In a user namespace of our own they are not anyway (mount_namespaces(7)),
    # and there a container's AppArmor profile may forbid every mount.
    with contextlib.suppress(*((PermissionError,) if in_new_user_namespace else ())):
        _libc.mount("none", "/", "", _libc.MS_REC | _libc.MS_PRIVATE)
    # A container that masks parts of /proc may not mount a fresh one. The lab does without it: it reads only its own
    # entries, which the old mount shows as well.
    with contextlib.suppress(PermissionError):
        _libc.mount("proc", "/proc", "proc", _libc.MS_NOSUID | _libc.MS_NODEV | _libc.MS_NOEXEC)
