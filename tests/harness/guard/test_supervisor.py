"""A command runs under the guard as it does without it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halfopen.netns import processes
from tests.netns.network import eventually

SUPERVISE = """
import os, sys, math
from halfopen.guard.supervisor import StartError, Supervisor
supervisor = Supervisor(sys.argv[1:], lambda: "SERVING" in os.environ)
try:
    with supervisor.running():
        code = None
        while code is None:
            code = supervisor.wait(math.inf)
except StartError as error:
    print(error)
    code = error.exit_code
os._exit(code)
"""
SUPERVISED = [sys.executable, "-c", SUPERVISE]
PYTHON = [sys.executable, "-c"]
#: Prints each signal that it gets, until SIGTERM.
PRINT_SIGNALS = """
import os, signal
wanted = {signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH, signal.SIGRTMIN, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print(os.getpid(), os.getpgrp(), flush=True)
number = None
while number != signal.SIGTERM:
    number = signal.sigwait(wanted)
    print(int(number), flush=True)
raise SystemExit(5)
"""
#: Leaves a process behind that prints its parent when asked, and ends with its input.
LEAVE = """
import os, sys
hear, tell = os.pipe()
if os.fork():
    os.read(hear, 1)
    sys.exit(CODE)
os.setsid()
os.write(tell, b"x")
parent = os.getppid()
while os.getppid() == parent:
    pass
print(os.getppid(), flush=True)
sys.stdin.read()
"""


def supervised(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SUPERVISED, *command], capture_output=True, text=True, check=False, **options)


@contextlib.contextmanager
def supervising(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **options}
    with subprocess.Popen([*SUPERVISED, *command], **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert supervised("sh", "-c", script).returncode == code


def test_a_command_that_cannot_be_started_has_a_shells_exit_code() -> None:
    missing = supervised("/nowhere/server")
    assert (missing.returncode, missing.stdout) == (127, "/nowhere/server: no such file or directory\n")
    refused = supervised("/etc/passwd")
    assert (refused.returncode, refused.stdout) == (126, "/etc/passwd: permission denied\n")


def test_input_output_and_arguments_are_the_commands() -> None:
    ran = supervised("sh", "-c", 'cat; echo "$@" >&2', "sh", "a b", "--json", input="in\n")
    assert (ran.stdout, ran.stderr) == ("in\n", "a b --json\n")


def test_a_command_gets_the_signals_that_its_guard_gets() -> None:
    with supervising(*PYTHON, PRINT_SIGNALS) as process:
        pid, group = line(process).split()
        assert pid == group != str(process.pid)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH, signal.SIGRTMIN, signal.SIGTERM):
            process.send_signal(number)
            assert line(process) == str(int(number))
        assert process.wait() == 5


def test_a_command_has_the_signal_settings_that_it_has_without_a_guard() -> None:
    show = ["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    for prefix in ([], ["nohup"], ["sh", "-c", 'trap "" INT QUIT; exec "$@"', "sh"]):
        alone = subprocess.run([*prefix, *show], capture_output=True, text=True, check=True)
        guarded = subprocess.run([*prefix, *SUPERVISED, *show], capture_output=True, text=True, check=True)
        assert guarded.stdout == alone.stdout, prefix


def test_sockets_from_systemd_are_addressed_to_the_command() -> None:
    shell = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *SUPERVISED, "sh", "-c", "echo $LISTEN_PID $$"]
    ours, its = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split()
    assert ours == its
    other = supervised("sh", "-c", "echo $LISTEN_PID", env={**os.environ, "LISTEN_PID": "1"})
    assert other.stdout == "1\n"


def test_a_daemon_is_adopted_and_waited_for_while_it_serves() -> None:
    with supervising(*PYTHON, LEAVE.replace("CODE", "0"), env={**os.environ, "SERVING": "1"}) as process:
        assert line(process) == str(process.pid)
        assert process.stdin is not None
        assert process.poll() is None
        daemon = the_only_child(process.pid)
        process.stdin.close()
        assert process.wait() == 0
        assert not processes.is_alive(daemon)


def the_only_child(pid: int) -> int:
    """Wait until the command that left the daemon behind is collected, and return the daemon."""
    while len(children := list(processes.children(pid))) != 1:
        assert children
        time.sleep(0.01)
    return children[0]


@pytest.mark.parametrize(("code", "environment"), [(3, {"SERVING": "1"}), (0, {})], ids=["failed", "not serving"])
def test_others_that_a_command_leaves_behind_are_not_waited_for(code: int, environment: dict[str, str]) -> None:
    script = LEAVE.replace("CODE", str(code))
    with supervising(*PYTHON, script, env={**os.environ, **environment}) as process:
        assert process.wait() == code
        assert line(process).isdigit(), "it goes on"
        assert process.stdin is not None
        process.stdin.close()


def test_signals_go_to_the_daemon_once_its_command_has_ended() -> None:
    with supervising(*PYTHON, LEAVE.replace("CODE", "0"), env={**os.environ, "SERVING": "1"}) as process:
        line(process)
        eventually(lambda: len(processes.children(process.pid)) == 1, "the command has ended")
        (daemon,) = processes.children(process.pid)
        process.terminate()
        assert process.wait() == 0
        assert not processes.is_alive(daemon)


def test_zombies_of_others_are_collected() -> None:
    script = "(sleep 0 & exec sleep 0) & wait; read line"
    with supervising("sh", "-c", script) as process:
        eventually(
            lambda: [fields[0] for fields in processes.children(process.pid).values()] == ["S"],
            "only the command is left, and it waits for its input",
        )
        assert process.stdin is not None
        process.stdin.close()


def test_the_command_goes_on_if_its_guard_is_killed() -> None:
    with supervising("sh", "-c", "echo $$; read line; echo still here") as process:
        pid = int(line(process))
        process.kill()
        process.wait()
        assert processes.is_alive(pid)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert line(process) == "still here"


#: A shell of a terminal, without job control: starts its arguments, and prints the foreground's group afterwards.
SESSION = """
import os, sys
pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status = os.waitpid(pid, 0)
print("code", os.waitstatus_to_exitcode(status), "restored", os.tcgetpgrp(0) == os.getpgrp(), flush=True)
"""


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self.pid, self.end = pty.fork()
        if not self.pid:
            os.execvp(sys.executable, [*PYTHON, SESSION, *command])
        flags = termios.tcgetattr(self.end)
        flags[3] &= ~termios.ECHO
        termios.tcsetattr(self.end, termios.TCSANOW, flags)
        self.text = ""

    def until(self, words: str) -> None:
        while words not in self.text:
            self.text += os.read(self.end, 1000).decode()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.end)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_the_command_has_the_terminal_and_gives_it_back(terminals: list[Terminal]) -> None:
    script = (
        'trap "echo caught; exit 9" INT; echo foreground $(ps -o pgid=,tpgid= -p $$); '
        'read line; echo "got $line"; read line'
    )
    terminals.append(terminal := Terminal(*SUPERVISED, "sh", "-c", script))
    terminal.until("foreground")
    terminal.until("\n")
    group, foreground = terminal.text.split("foreground ")[1].split()[:2]
    assert group == foreground
    os.write(terminal.end, b"typed\n")
    terminal.until("got typed")
    os.write(terminal.end, b"\x03")
    terminal.until("caught")
    terminal.until("restored")
    terminal.until("True")
    assert "code 9" in terminal.text


def test_ctrl_z_stops_both_and_both_go_on(terminals: list[Terminal], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f'echo $PPID $$ >{pids}.new; mv {pids}.new {pids}; echo up; read line; echo "got $line"'
    terminals.append(terminal := Terminal(*SUPERVISED, "sh", "-c", script))
    terminal.until("up")
    guard, command = map(int, pids.read_text().split())
    os.write(terminal.end, b"\x1a")

    def states() -> set[str]:
        return {fields[0] for pid in (guard, command) if (fields := processes.stat(pid))}

    eventually(lambda: states() == {"T"}, "both are stopped")
    os.kill(guard, signal.SIGCONT)
    eventually(lambda: states() == {"S"}, "both go on")
    os.write(terminal.end, b"typed\n")
    terminal.until("got typed")
    terminal.until("code 0")
