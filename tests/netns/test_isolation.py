"""Private namespaces: what passes through them, and that nothing stays when they end, however they end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from halfopen.netns import _libc, capabilities, isolation
from halfopen.netns.lab_errors import IsolationError
from tests.isolated import isolated
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare
from tests.netns.network import eventually

pytestmark = needs_labs

#: Run by the launcher in its own process. It prints the process ids and waits to be ended.
LAB = """
import os, signal, sys, time
from halfopen.netns import isolation

def work():
    orphan = os.fork()
    if orphan == 0:
        while True: time.sleep(60)
    print("working", flush=True)
    {body}

sys.exit(isolation.run(work))
"""
# Not signal.pause(): it sleeps on if the signal comes just before it.
WAIT = "while True: time.sleep(0.01)"


@contextlib.contextmanager
def lab(body: str = WAIT, prefix: list[str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a launcher whose worker runs ``body``. Yield it once the worker has begun."""
    command = [*(prefix or []), sys.executable, "-c", LAB.format(body=body)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        try:
            assert launcher.stdout.readline() == "working\n", launcher.stderr and launcher.stderr.read()
            yield launcher
        finally:
            launcher.kill()


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(launcher: int) -> dict[str, int]:
    """launcher ──▶ gate ──▶ init ──▶ worker ──▶ child."""
    pids = [launcher]
    for _ in range(4):
        pids += children(pids[-1])[:1]
    return dict(zip(("launcher", "gate", "init", "worker", "child"), pids, strict=True))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


def await_gone(pids: dict[str, int]) -> None:
    eventually(lambda: all(map(is_gone, pids.values())), f"all are gone of {pids}")


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_the_exit_code_comes_through(code: int) -> None:
    assert isolation.run(lambda: code) == code


@pytest.mark.parametrize(("leave", "code"), [(5, 5), (None, 0), ("a text is said and is failure", 1)])
def test_sys_exit_means_what_it_means_elsewhere(leave: int | str | None, code: int) -> None:
    def work() -> NoReturn:
        sys.exit(leave)

    assert isolation.run(work) == code


def test_a_worker_killed_by_a_signal_is_told_like_a_shell_does() -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert isolation.run(die) == 128 + signal.SIGKILL


def test_an_interruption_is_130() -> None:
    def interrupted() -> NoReturn:
        raise KeyboardInterrupt

    assert isolation.run(interrupted) == 130


def test_a_bug_is_70_and_one_line_that_names_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def buggy() -> NoReturn:
        raise RuntimeError("a bug of ours")

    assert isolation.run(buggy) == 70
    said = capfd.readouterr().err
    line, _, file = said.rstrip("\n").rpartition(" ")
    assert line == "halfopen: internal error: RuntimeError: a bug of ours; report it, with the traceback in"
    trace = Path(file).read_text()
    assert trace.startswith("Traceback")
    assert trace.endswith("RuntimeError: a bug of ours\n")
    Path(file).unlink()


def test_what_was_printed_comes_out_once(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")

    def work() -> int:
        print("inside")
        return 0

    isolation.run(work)
    assert capfd.readouterr().out == "before\ninside\n"


@isolated
def test_inside_we_are_root_and_alone() -> None:
    assert os.geteuid() == 0
    assert sorted(int(p) for p in os.listdir("/proc") if p.isdigit()) == [1, os.getpid()]
    assert Path("/proc/net/dev").read_text().count(":") == 1  # only lo


def test_descriptors_and_signal_handlers_are_as_before() -> None:
    def state() -> tuple[int, list[object], set[int]]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return len(os.listdir("/proc/self/fd")), [signal.getsignal(number) for number in numbers], set(mask)

    before = state()
    isolation.run(lambda: 0)
    assert state() == before


@isolated
def test_nothing_is_mounted_outside() -> None:
    outside = Path("/proc/self/mounts").read_text()

    def mount_something() -> int:
        return subprocess.run(["mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode

    assert isolation.run(mount_something) == 0
    assert Path("/proc/self/mounts").read_text() == outside


@isolated
def test_orphans_are_reaped() -> None:
    # A grandchild without a parent belongs to init, which must not leave it a zombie.
    subprocess.run(["sh", "-c", "sleep 0 & sleep 0 & sleep 0 &"], check=True)
    eventually(
        lambda: sorted(int(p) for p in os.listdir("/proc") if p.isdigit()) == [1, os.getpid()],
        "only init and we are left",
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_means_stop_reaches_the_worker(number: signal.Signals) -> None:
    body = f"signal.signal({int(number)}, lambda *_: sys.exit(42)); print('ready', flush=True)\n    {WAIT}"
    with lab(body) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "ready\n"
        launcher.send_signal(number)
        assert launcher.wait() == 42


def test_a_stop_that_the_worker_does_not_handle_is_told_like_a_shell_does() -> None:
    with lab() as launcher:
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait() == 128 + signal.SIGTERM


def test_under_nohup_a_hang_up_ends_nothing() -> None:
    body = f"print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, flush=True)\n    {WAIT}"
    with lab(body, ["nohup"]) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "True\n"
        # They are handled in this order, so a process ended by the first does not see the second.
        launcher.send_signal(signal.SIGHUP)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait() == 128 + signal.SIGTERM


def test_an_interrupted_launcher_interrupts_the_worker() -> None:
    with lab() as launcher:
        launcher.send_signal(signal.SIGINT)
        assert launcher.wait() == 130


def test_a_signal_that_comes_before_there_is_a_worker_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    unshare = isolation._unshare

    def interrupt_first(uid: int, gid: int) -> None:
        os.kill(os.getppid(), signal.SIGINT)
        unshare(uid, gid)

    def work() -> int:
        eventually(lambda: False, "the signal came")
        return 0

    monkeypatch.setattr(isolation, "_unshare", interrupt_first)
    assert isolation.run(work) == 130


def test_a_signal_during_brief_work_is_the_callers_once_that_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    unshare = isolation._unshare

    def interrupt_first(uid: int, gid: int) -> bool:
        os.kill(os.getppid(), signal.SIGINT)
        return unshare(uid, gid)

    done, tell = os.pipe()
    monkeypatch.setattr(isolation, "_unshare", interrupt_first)
    with pytest.raises(KeyboardInterrupt):
        isolation.run(lambda: os.write(tell, b"done") - 4, is_brief=True)
    assert os.read(done, 4) == b"done"
    os.close(done)
    os.close(tell)


@pytest.mark.parametrize("who", ["launcher", "gate", "init", "worker"])
def test_whoever_is_killed_everything_ends(who: str) -> None:
    with lab() as launcher:
        pids = family(launcher.pid)
        os.kill(pids[who], signal.SIGKILL)
        assert launcher.wait() in {-signal.SIGKILL, 128 + signal.SIGKILL}
        await_gone(pids)


def test_a_frozen_child_is_no_survivor() -> None:
    with lab() as launcher:
        pids = family(launcher.pid)
        os.kill(pids["child"], signal.SIGSTOP)
        launcher.kill()
        await_gone(pids)


@needs_unshare
def test_without_any_privilege_a_user_namespace_is_entered() -> None:
    body = "print(os.geteuid(), open('/proc/self/uid_map').read().split()[::2], flush=True); os._exit(0)"
    with lab(body, prefix=UNPRIVILEGED) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "0 ['0', '1']\n"
        assert launcher.wait() == 0


@needs_unshare
def test_without_any_privilege_nothing_survives_a_kill_either() -> None:
    with lab(prefix=UNPRIVILEGED) as launcher:
        pids = family(launcher.pid)
        launcher.kill()
        await_gone(pids)


ENTER = """
import json
from halfopen.netns import isolation
from halfopen.netns.lab_errors import IsolationError

try:
    isolation.run(lambda: 0)
except IsolationError as error:
    print(json.dumps(str(error)))
"""
#: Do what the machine's root does with sysctl, in a user namespace that has its own such setting.
FORBID = f"""
import ctypes, subprocess, sys
from pathlib import Path
from halfopen.netns import isolation

PR_CAPBSET_DROP, CAP_SYS_ADMIN = 24, 21

def work():
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
    return subprocess.run([sys.executable, "-c", {ENTER!r}], check=False).returncode

sys.exit(isolation.run(work))
"""


@needs_unshare
def test_where_namespaces_are_forbidden_the_error_names_the_setting_and_the_remedy() -> None:
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", FORBID], capture_output=True, text=True, check=True)
    sentence = json.loads(done.stdout)
    assert sentence.startswith("cannot enter namespaces of our own: unshare failed with no space left on device: ")
    assert "user.max_user_namespaces is 0" in sentence
    assert "sudo sysctl -w user.max_user_namespaces=" in sentence


def test_a_refusal_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, __: int) -> NoReturn:
        raise OSError(1, "Operation not permitted", "unshare")

    monkeypatch.setattr(isolation, "_unshare", refuse)
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as stream:
        with pytest.raises(IsolationError, match="unshare failed with operation not permitted"):
            isolation.run(lambda: stream.write("started") or 0)
        assert not select.select([read], [], [], 0)[0]


def _mount_forbidden(_source: str, target: str, _filesystem: str, _flags: int) -> NoReturn:
    raise PermissionError(13, "Permission denied", f"mount {target}")


def test_in_a_user_namespace_of_its_own_it_does_without_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libc, "mount", _mount_forbidden)
    monkeypatch.setattr(capabilities, "may_administer", lambda: False)
    assert isolation.run(lambda: 7) == 7


def test_in_the_machines_user_namespace_its_mounts_must_be_private(monkeypatch: pytest.MonkeyPatch) -> None:
    if not capabilities.may_administer():
        # A process that must enter a user namespace cannot be root here.
        assert os.geteuid() != 0
        return
    monkeypatch.setattr(_libc, "mount", _mount_forbidden)
    with pytest.raises(IsolationError, match="mount / failed with permission denied"):
        isolation.run(lambda: 7)


@needs_unshare
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to drop")
def test_root_without_the_right_to_configure_networks_enters_a_user_namespace() -> None:
    ask = "from halfopen.netns import isolation, lab; print(isolation.run(lambda: lab.Lab().host('x') and 0))"
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin", sys.executable, "-c", ask], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
