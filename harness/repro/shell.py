"""A shell in one of the lab's hosts, on the terminal of the display."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import subprocess
import tempfile
import termios
import textwrap
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path

from halfopen.netns.host import Host

#: Seconds between checks of the terminal's size. Only its own session is signalled a change.
_CHECK = 0.25


def run(host: Host, name: str, terminal: int) -> str:
    """Give the terminal to a shell in ``host`` until it ends; returns how it ended. Raises OSError."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    if shutil.which(shell) is None:
        return f"no shell: $SHELL {shell!r} cannot be run"
    greeting = (
        f"{shell} in the {name}'s host ({host.name}). Try: ss -tino. "
        "Exit or Ctrl-D returns to the display. The session goes on meanwhile."
    )
    lines = textwrap.wrap(greeting, termios.tcgetwinsize(terminal)[1] or 80)
    _write(terminal, ("\x1b[2J\x1b[H" + "".join(f"{line}\r\n" for line in lines)).encode())
    with tempfile.TemporaryDirectory() as folder, _raw(terminal):
        near, far = pty.openpty()
        with os.fdopen(near, "rb", buffering=0):
            try:
                # Job control and Ctrl-C need a terminal of the shell's own: the display's belongs to another session.
                command = ["setsid", "--ctty", "--wait", *_command(shell, name, Path(folder))]
                environment = os.environ | {"PS1": f"({name}) $ ", "HALFOPEN_HOST": name}
                process = host.spawn(command, stdin=far, stdout=far, stderr=far, env=environment)
            finally:
                os.close(far)
            code = _pass_on(terminal, near, process)
    return f"the shell in the {name}'s host ended (exit code {code})"


def _command(shell: str, name: str, folder: Path) -> Sequence[str]:
    """Return a shell command with a prompt that names the host. bash's own startup files would set another prompt."""
    if Path(shell).name != "bash":
        return [shell, "-i"]
    start = folder / "bashrc"
    start.write_text(f'[ -r ~/.bashrc ] && . ~/.bashrc\nPS1="({name}) $PS1"\n')
    return [shell, "--rcfile", str(start), "-i"]


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Pass every key to the shell, Ctrl-C too."""
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pass_on(terminal: int, near: int, process: subprocess.Popen[bytes]) -> int:
    """Relay input and output until the shell has ended."""
    size = (0, 0)
    while True:
        if (now := termios.tcgetwinsize(terminal)) != size:
            size = now
            termios.tcsetwinsize(near, size)
        ready = select.select([terminal, near], [], [], _CHECK)[0]
        if near in ready:
            try:
                said = os.read(near, 1 << 16)
            except OSError:  # nobody has the other end any more (EIO)
                said = b""
            if not said:
                return process.wait()
            _write(terminal, said)
        if terminal in ready:
            typed = os.read(terminal, 1 << 12)
            if not typed:
                process.kill()
                return process.wait()
            _write(near, typed)


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
