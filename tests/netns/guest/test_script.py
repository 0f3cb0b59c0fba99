from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netns.guest.script import Job, render


def job(**changes: object) -> Job:
    settings: dict[str, object] = {
        "command": ["echo", "it's"],
        "folder": Path("/home/me/my project"),
        "now": 1_800_000_000,
        "environment": {"PATH": "/bin", "ODD NAME": "x", "QUOTED": "a 'b' $c"},
    }
    return Job(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("terminal", [None, (80, 24)])
def test_it_is_a_shell_script(terminal: tuple[int, int] | None) -> None:
    subprocess.run(["sh", "-n"], input=render(job(terminal=terminal)), text=True, check=True)


def test_words_and_folders_are_quoted() -> None:
    text = render(job(writable=[Path("/home/me/out $(x)")]))
    assert """echo 'it'"'"'s' </dev/null""" in text
    assert "cd '/home/me/my project'" in text
    assert "mount -t hostfs -o '/home/me/out $(x)' none '/home/me/out $(x)'" in text
    assert """ 'QUOTED=a '"'"'b'"'"' $c' """ in text


def test_the_script_itself_does_not_act_upon_the_commands_environment() -> None:
    text = render(job(environment={"PATH": "/nowhere", "IFS": "0", "ODD NAME": "x"}))
    assert "export" not in text
    assert " PATH=/nowhere IFS=0 'ODD NAME=x' " in text


def test_only_the_folders_named_are_writable() -> None:
    assert render(job()).count("hostfs") == 0
    assert render(job(writable=[Path("/a"), Path("/b")])).count("hostfs") == 2


def test_virtual_time_has_passed_before_the_command_starts() -> None:
    lines = render(job()).splitlines()
    assert lines.index("sleep 2") < next(n for n, line in enumerate(lines) if line.startswith("env -i"))


def test_a_terminal_has_its_size() -> None:
    text = render(job(terminal=(132, 50)))
    assert "stty -F /dev/tty0 cols 132 rows 50" in text
    assert " COLUMNS=132 " in text
    assert "mkfifo" not in text


def test_nothing_is_run_with_another_users_identity() -> None:
    """To an ordinary user root's files are nobody's, and with the set-user-ID bit mount(8) would be too."""
    mounts = [line for line in render(job()).splitlines() if "mount " in line]
    assert all(line.startswith("setpriv --no-new-privs mount ") for line in mounts[:2])
    assert mounts[1].endswith(" -o remount,bind,ro,nosuid /dev/root /")
