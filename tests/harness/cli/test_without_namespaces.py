"""Guests on a machine that refuses namespaces and mounts, as a container without added privileges does."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, Ran, halfopen, results
from tests.machine import UNPRIVILEGED, WITHOUT_NAMESPACES, needs_guest, needs_unshare

pytestmark = needs_guest

PATIENCE = 120.0
ORDINARY = [*UNPRIVILEGED, *WITHOUT_NAMESPACES]
EVERYBODY = pytest.mark.parametrize(
    "under", [WITHOUT_NAMESPACES, pytest.param(ORDINARY, marks=needs_unshare)], ids=["as-we-are", "unprivileged"]
)


def test_they_are_refused_here() -> None:
    tried = "from halfopen.netns import isolation; isolation.run(lambda: 0)"
    done = subprocess.run(
        [*WITHOUT_NAMESPACES, sys.executable, "-c", tried], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "unshare failed with operation not permitted: a seccomp filter is in force" in done.stderr


@EVERYBODY
def test_a_command_runs_on_the_virtual_clock(under: list[str]) -> None:
    assert halfopen("warp", "--", "sh", "-c", "sleep 3000; echo done; exit 3", under=under) == Ran(3, "done\n", "")


@EVERYBODY
def test_the_matrix_at_production_grace(under: list[str], tmp_path: Path) -> None:
    ran = halfopen("run", "--clock", "virtual", "--out", str(tmp_path), under=under)
    assert ran.code == 0, ran.out + ran.err
    table = results(tmp_path)
    assert table["clock"] == "virtual"
    assert [run["scenario"] for run in table["runs"]] == ["active", "backpressured", "clean_close", "frozen", "paused"]


def folder_is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


@EVERYBODY
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_a_command_is_ended(
    number: signal.Signals, under: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = leftovers.take_stock()
    command = [*under, *HALFOPEN, "warp", "--", "sh", "-c", "echo up; sleep 1; while :; do :; done"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "up\n"
        assert not folder_is_empty(tmp_path)
        tool.send_signal(number)
        code = tool.wait(PATIENCE)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
    assert not leftovers.since(before)
    assert folder_is_empty(tmp_path)


def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    before = leftovers.take_stock()
    options = ["--clock", "virtual", "--jobs", "2", "--hold", "24h", "--out", str(tmp_path / "out")]
    with subprocess.Popen([*WITHOUT_NAMESPACES, *HALFOPEN, "run", *options], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        # Printed when the first guest has booted.
        assert tool.stdout.readline().startswith("halfopen ")
        tool.kill()
    assert not leftovers.since(before)
    assert folder_is_empty(place)


def test_ctrl_c_reaches_the_command_which_may_end_in_its_own_way() -> None:
    body = "import time\ntry:\n print('up', flush=True)\n while 1: time.sleep(1)\nexcept KeyboardInterrupt:\n exit(9)"
    command = [*WITHOUT_NAMESPACES, *HALFOPEN, "warp", "--", sys.executable, "-c", body]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "up\n"
        tool.send_signal(signal.SIGINT)
        assert tool.wait(PATIENCE) == 9


@needs_unshare
def test_a_kernel_without_room_for_its_memory_is_told_what_to_do() -> None:
    # In a folder of the default size of a container's /dev/shm.
    small = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    hungry = """
import sys, time
from pathlib import Path
from halfopen.netns.lab_errors import GuestLostError
from halfopen.netns.guest import booting, cache, script

greedy = "x = []\\nwhile True: x.append(bytearray(10_000_000))"
boot = script.Boot(cache.newest(), [sys.executable, "-c", greedy])
with booting.start(boot, Path("/dev/shm/place"), 1) as guest:
    try:
        booting.exit_code(guest, boot, time.monotonic() + 60)
    except GuestLostError as lost:
        print(lost)
"""
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", small, "sh"]
    done = subprocess.run([*private, sys.executable, "-c", hungry], capture_output=True, text=True, check=True)
    assert re.fullmatch(
        r"the guest kernel ended before its command did; its memory of 1073\.7 MB is a file on the file system at "
        r"/dev/shm, where only 67\.1 MB were free: free some, or name another folder with TMPDIR\n",
        done.stdout,
    )


@needs_unshare
def test_a_kernel_where_no_program_may_be_run_is_told_so(tmp_path: Path) -> None:
    forbidden = f'mount --bind -o noexec {tmp_path} {tmp_path} && exec "$@"'
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", forbidden, "sh"]
    boot = f"""
import sys
from pathlib import Path
from halfopen.netns.guest import booting, cache, script

program = Path({str(tmp_path)!r}) / "linux"
program.write_bytes(b"#!/bin/true\\n")
program.chmod(0o755)
sys.exit(booting.run(script.Boot(cache.GuestKernel(program, "6.1", "none"), ["true"])))
"""
    done = subprocess.run([*private, sys.executable, "-c", boot], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == (
        f"halfopen: the guest kernel '{tmp_path}/linux' cannot be executed: permission denied "
        "(is its file system mounted noexec? XDG_CACHE_HOME names another)\n"
    )


@needs_unshare
def test_a_user_without_a_home_is_told_so() -> None:
    homeless = ["unshare", "--user", "--map-user=4321", "env", "-u", "HOME", "-u", "XDG_CACHE_HOME"]
    why = "no folder for guest kernels: this user has no home; name one with XDG_CACHE_HOME"
    assert halfopen("kernel", "build", under=homeless) == Ran(2, "", f"halfopen: {why}\n")
    ran = halfopen("warp", "--", "true", under=homeless)
    assert ran == Ran(2, "", "halfopen: there is no guest kernel yet; build it once with: halfopen kernel build\n")
