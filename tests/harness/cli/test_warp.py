"""Any command on the virtual clock: its input and output pass, its effects stay inside, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from halfopen.netns.guest import cache
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, halfopen
from tests.machine import UNPRIVILEGED, needs_guest, needs_unshare

pytestmark = needs_guest

PATIENCE = 120.0
#: Run inside a guest, prints the duration on the guest's own clock.
TIMED = "import time; a = time.monotonic(); {body}; print(round(time.monotonic() - a, 2))"


def warp(*command: str, options: tuple[str, ...] = (), under: tuple[str, ...] = ()) -> tuple[int, str, str]:
    ran = halfopen("warp", *options, "--", *command, under=under)
    return ran.code, ran.out, ran.err


def test_an_hour_of_sleep_passes_on_the_commands_clock_and_on_no_other() -> None:
    # In real time the test run would not end, so its end is the proof.
    assert warp(sys.executable, "-c", TIMED.format(body="time.sleep(3600)")) == (0, "3600.0\n", "")


@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_exit_code_comes_through(code: int) -> None:
    assert warp("sh", "-c", f"exit {code}") == (code, "", "")


def test_output_and_errors_come_through_apart_and_as_they_are() -> None:
    assert warp("sh", "-c", "printf 'a\\nb\\tc'; echo wrong >&2") == (0, "a\nb\tc", "wrong\n")


def test_output_and_errors_that_go_to_one_file_stay_in_order(tmp_path: Path) -> None:
    body = "for n in 1 2 3; do echo out $n; echo err $n >&2; done"
    with (tmp_path / "log").open("w") as log:
        subprocess.run([*HALFOPEN, "warp", "--", "sh", "-c", body], stdout=log, stderr=log, check=True)
    assert (tmp_path / "log").read_text() == "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"


def test_what_is_no_text_comes_through_both_ways() -> None:
    command: list[str | bytes] = [*HALFOPEN, "warp", "--", "printf", "%s", b"a\xff\xfeb"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"a\xff\xfeb"


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_standard_file_is_nobodys_trouble(closed: str) -> None:
    call = f'exec "$@" {closed}'
    command = ["sh", "-c", call, "sh", *HALFOPEN, "warp", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout == ("" if "1" in closed else "out\n")
    assert done.stderr == ("" if "2" in closed else "err\n")


def test_any_environment_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"IFS": "0123456789", "OPTIND": "x", "é": "e", "a.b": "c", "-i": "j", "LINES OF": "one\ntwo", "mem": "1"}
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    body = f"import os; print([os.environ.get(name) for name in {list(odd)}])"
    assert warp(sys.executable, "-c", body) == (0, f"{list(odd.values())}\n", "")


def test_a_program_left_running_does_not_keep_it() -> None:
    assert warp("sh", "-c", "while :; do sleep 1; done & echo up; exit 3") == (3, "up\n", "")


def test_a_program_left_running_may_finish_what_it_writes() -> None:
    assert warp("sh", "-c", "(sleep 5; echo late) & echo up") == (0, "up\nlate\n", "")


def test_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    call = 'rmdir "$PWD"; exec "$@"'
    ran = halfopen("warp", "--", "true", cwd=tmp_path, under=("sh", "-c", call, "sh"))
    why = "the working directory no longer exists; start halfopen in another"
    assert (ran.code, ran.out, ran.err) == (2, "", f"halfopen: {why}\n")


def test_a_large_output_is_whole() -> None:
    code, out, _ = warp(sys.executable, "-c", "print('x' * 200_000)")
    assert (code, len(out)) == (0, 200_001)


def test_the_machines_files_are_there_to_read_and_not_to_write(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("from outside")
    code, out, err = warp("sh", "-c", f"cat {mine}; echo changed > {mine}; cat {mine}; touch /etc/halfopen-was-here")
    assert (code, out) == (1, "from outsidechanged\n")
    assert "Read-only file system" in err
    assert mine.read_text() == "from outside"


def test_a_folder_that_is_named_can_be_written_to(tmp_path: Path) -> None:
    assert warp("sh", "-c", f"echo result > {tmp_path}/x", options=("--writable", str(tmp_path)))[0] == 0
    assert (tmp_path / "x").read_text() == "result\n"


def test_it_starts_in_the_same_folder_with_the_same_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "it's me")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3] / "src"))
    ran = halfopen("warp", "--", "sh", "-c", 'pwd; echo "$GREETING"', cwd=tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, f"{tmp_path}\nit's me\n", "")


@pytest.mark.parametrize(
    "body",
    [
        "import asyncio; asyncio.run(asyncio.sleep(100))",
        "import threading; threading.Event().wait(100)",
        "import select; select.select([], [], [], 100)",
    ],
    ids=["asyncio", "threading", "select"],
)
def test_every_way_of_waiting_is_on_the_virtual_clock(body: str) -> None:
    code, out, err = warp(sys.executable, "-c", TIMED.format(body=body))
    assert (code, err) == (0, "")
    assert 100 <= float(out) <= 100.1


def test_random_numbers_are_drawn_from_the_seed() -> None:
    drawn = [warp("od", "-An", "-N16", "-tx1", "/dev/urandom", options=("--seed", seed))[1] for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert warp("od", "-An", "-N16", "-tx1", "/dev/urandom")[1] not in drawn


def test_the_wall_clock_shows_what_this_machines_does() -> None:
    before = time.time()
    shown = float(warp("date", "+%s")[1])
    # The clock was set two guest seconds before the command began.
    assert before - 1 <= shown - 2 <= time.time()


def test_a_loop_that_never_sleeps_is_given_up_and_said_so() -> None:
    code, out, err = warp("sh", "-c", "while :; do :; done", options=("--wall-limit", "2s"))
    assert (code, out) == (69, "")
    assert err == (
        "halfopen: the guest was stopped after 2s of wall time; the busiest process was sh -c 'while :; do :; done' "
        "(a loop that never sleeps never ends on the virtual clock)\n"
    )


def test_a_command_killed_for_memory_is_told_from_one_that_failed() -> None:
    hungry = "x = []\nwhile True: x.append(bytearray(10_000_000))"
    code, out, err = warp(sys.executable, "-c", hungry, options=("--memory", "200MiB"))
    assert (code, out) == (69, "")
    assert re.fullmatch(r"halfopen: the guest ran out of its 209\.7 MB of memory and killed 'python[\d.]*'\n", err)


def test_a_guest_that_panics_is_told_so() -> None:
    # The only panic that any Linux offers without a debugging option.
    body = "echo 1 > /proc/sys/vm/panic_on_oom; exec \"$0\" -c 'x = []\nwhile True: x.append(bytearray(10_000_000))'"
    code, out, err = warp("sh", "-c", body.replace("\\n", "\n"), sys.executable, options=("--memory", "200MiB"))
    assert (code, out) == (69, "")
    assert err.startswith("halfopen: the guest kernel panicked: ")
    assert "Out of memory" in err


@needs_unshare
def test_it_needs_no_privilege() -> None:
    code, out, err = warp("sh", "-c", "id -u; exit 5", under=tuple(UNPRIVILEGED))
    assert (code, out, err) == (5, "0\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_ended(number: signal.Signals) -> None:
    before = leftovers.take_stock()
    command = [*HALFOPEN, "warp", "--", "sh", "-c", "echo up; sleep 1; while :; do :; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "up\n"
        tool.send_signal(number)
        code = tool.wait(PATIENCE)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert not leftovers.since(before)


def test_ctrl_c_reaches_the_command_which_may_end_in_its_own_way() -> None:
    body = "import time\ntry:\n print('up', flush=True)\n while 1: time.sleep(1)\nexcept KeyboardInterrupt:\n exit(9)"
    with subprocess.Popen([*HALFOPEN, "warp", "--", sys.executable, "-c", body], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"up\n"
        tool.send_signal(signal.SIGINT)
        assert tool.wait(PATIENCE) == 9


def test_a_folder_that_is_none_is_refused() -> None:
    code, out, err = warp("true", options=("--writable", "/nowhere"))
    assert (code, out, err) == (
        2,
        "",
        "halfopen: --writable '/nowhere': is not a readable folder; name one that exists and can be read\n",
    )


def on_a_terminal(*command: str, keys: bytes = b"") -> tuple[int, bytes, bool]:
    """Return exit code, output, and if the terminal was restored. ``keys`` are pressed after the first line."""
    terminal, far = pty.openpty()
    # Before any program asks for the size and sets modes.
    termios.tcsetwinsize(far, (50, 132))
    before, out = termios.tcgetattr(terminal), b""
    pid = os.fork()
    if pid == 0:
        os.login_tty(far)
        os.execv(HALFOPEN[0], [*HALFOPEN, "warp", "--", *command])
    os.close(far)
    # Reading a terminal whose other end is gone fails with EIO.
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 1000):
            out += piece
            if keys and b"\n" in out:
                os.write(terminal, keys)
                keys = b""
    alike = termios.tcgetattr(terminal) == before
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out, alike


def test_on_a_terminal_it_ends_with_the_command_and_leaves_the_terminal_as_it_was() -> None:
    body = "import os, sys; print(os.get_terminal_size(), sys.stdout.isatty()); sys.exit(4)"
    assert on_a_terminal(sys.executable, "-c", body) == (4, b"os.terminal_size(columns=132, lines=50) True\r\n", True)


def test_ctrl_c_on_a_terminal_reaches_the_command() -> None:
    body = "import time\ntry:\n  print('up')\n  while True: time.sleep(0.01)\nexcept KeyboardInterrupt: print('bye')"
    assert on_a_terminal(sys.executable, "-c", body, keys=b"\x03") == (0, b"up\r\n^Cbye\r\n", True)


def test_on_a_terminal_a_kernel_that_cannot_be_executed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = tmp_path / "product" / "linux"
    program.parent.mkdir()
    program.touch(0o644)
    cache.folder().mkdir(parents=True)
    cache.keep(program, source="a tarball", version="9.1")
    code, out, alike = on_a_terminal("true")
    assert (code, alike) == (69, True)
    assert b"cannot be executed: permission denied" in out


@pytest.mark.parametrize("folder", ["/", "/dev/shm", "/proc"])
def test_a_folder_that_the_guest_has_of_its_own_is_refused(folder: str) -> None:
    why = f"{folder!r} cannot be made writable in a guest; name a folder of files"
    assert warp("true", options=("--writable", folder)) == (2, "", f"halfopen: {why}\n")


def test_so_is_starting_in_one() -> None:
    ran = halfopen("warp", "--", "true", cwd="/dev")
    why = "the guest has its own /dev, without '/dev'; start it in another folder"
    assert (ran.code, ran.out, ran.err) == (2, "", f"halfopen: {why}\n")
