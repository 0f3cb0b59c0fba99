"""Processes started by a worker end with it, without any namespace, whichever is killed and wherever they moved."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from halfopen.netns import processes
from halfopen.netns.guest import subreaper
from tests import leftovers
from tests.netns.network import eventually

#: A worker with a child in its own session, as a guest's kernel is, and a child of that.
WORK = """
import json, os, subprocess, sys, time
from pathlib import Path
from halfopen.netns.guest import subreaper

KERNEL = "import subprocess, time; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); time.sleep(1000)"

def work(place):
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    process = int(kernel.stdout.readline())
    who = {"guard": os.getppid(), "worker": os.getpid(), "kernel": kernel.pid, "process": process}
    def ready(): print(json.dumps({"pids": who, "place": str(place)}), flush=True)
    %s

sys.exit(subreaper.run(work, Path(sys.argv[1])))
"""
WAIT = "ready()\n    while True: time.sleep(0.01)"


@dataclass
class Guarded:
    tool: subprocess.Popen[str]
    pids: dict[str, int]
    place: Path


@contextlib.contextmanager
def guarded(folder: Path, body: str = WAIT) -> Iterator[Guarded]:
    """Run a tool whose worker starts its processes and runs ``body``, which reports readiness. All must end."""
    before = leftovers.take_stock()
    with subprocess.Popen([sys.executable, "-c", WORK % body, str(folder)], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        said = json.loads(tool.stdout.readline())
        place = Path(said["place"])
        yield Guarded(tool, said["pids"] | {"tool": tool.pid}, place)
    assert not leftovers.since(before)
    eventually(lambda: not place.exists(), "the folder is gone")


@pytest.mark.parametrize("who", ["tool", "guard", "worker"])
def test_whoever_is_killed_everything_ends(who: str, tmp_path: Path) -> None:
    with guarded(tmp_path) as it:
        assert it.place.parent == tmp_path
        os.kill(it.pids[who], signal.SIGKILL)
        assert it.tool.wait() == (-signal.SIGKILL if who == "tool" else 128 + signal.SIGKILL)


def test_a_process_whose_parent_is_killed_is_not_lost(tmp_path: Path) -> None:
    with guarded(tmp_path) as it:
        os.kill(it.pids["kernel"], signal.SIGKILL)
        os.kill(it.pids["tool"], signal.SIGKILL)


def test_a_stopped_process_is_no_survivor(tmp_path: Path) -> None:
    with guarded(tmp_path) as it:
        os.kill(it.pids["process"], signal.SIGSTOP)
        it.tool.kill()


def test_the_exit_code_is_the_workers_and_what_it_left_ends(tmp_path: Path) -> None:
    with guarded(tmp_path, "ready(); return 7") as it:
        assert it.tool.wait() == 7


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_a_signal_to_the_tool_ends_it_as_it_would_in_namespaces(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    with guarded(tmp_path) as it:
        it.tool.send_signal(number)
        assert it.tool.wait() == code


def test_ctrl_c_at_the_terminal_is_the_workers_to_answer(tmp_path: Path) -> None:
    # A terminal signals its whole foreground group. The guard is not in it, and neither is the worker, which gets one
    # signal. It reports ready only inside the block that catches it.
    body = "try:\n        ready()\n        while True: time.sleep(0.01)\n    except KeyboardInterrupt: return 9"
    with guarded(tmp_path, body) as it:
        assert os.getpgid(it.pids["guard"]) == os.getpgid(it.pids["worker"]) != os.getpgid(it.pids["tool"])
        os.kill(it.pids["guard"], signal.SIGINT)
        os.kill(it.pids["tool"], signal.SIGINT)
        assert it.tool.wait() == 9


def test_who_reads_what_is_printed_comes_to_its_end(tmp_path: Path) -> None:
    with guarded(tmp_path) as it:
        it.tool.kill()
        assert it.tool.stdout is not None
        # Reading ends only when nobody holds the other end of the pipe.
        assert it.tool.stdout.read() == ""


def test_what_the_caller_had_started_before_stays(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        assert subreaper.run(lambda _: 3, tmp_path) == 3
        assert other.poll() is None
        other.kill()
    assert not list(tmp_path.iterdir())


def test_the_caller_is_afterwards_what_it_was(tmp_path: Path) -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    subreaper.run(lambda _: 0, tmp_path)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    # Its orphans go back to the machine, or to their earlier parent.
    orphan = "import subprocess; print(subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL).pid)"
    pid = int(subprocess.run([sys.executable, "-c", orphan], stdout=subprocess.PIPE, check=True).stdout)
    assert pid not in processes.children(os.getpid())
    os.kill(pid, signal.SIGKILL)


def test_the_children_of_a_process_are_found() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        assert child.pid in processes.children(os.getpid())
        child.kill()
    assert child.pid not in processes.children(os.getpid())
