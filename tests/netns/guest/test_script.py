from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.script import Boot, render

KERNEL = GuestKernel(Path("/cache/linux"), "7.3.4", "a source")
ENVIRONMENT = {"PATH": "/bin", "ODD NAME": "x", "QUOTED": "a 'b' $c"}


def rendered(
    *,
    writable: Sequence[Path] = (),
    virtual: bool = True,
    environment: Mapping[str, str] = ENVIRONMENT,
    terminal: tuple[int, int] | None = None,
) -> str:
    boot = Boot(KERNEL, ["echo", "it's"], writable=writable, virtual=virtual)
    folder = Path("/home/me/my project")
    return render(boot, folder=folder, environment=environment, now=1_800_000_000, terminal=terminal)


@pytest.mark.parametrize("terminal", [None, (80, 24)])
def test_it_is_a_shell_script(terminal: tuple[int, int] | None) -> None:
    subprocess.run(["sh", "-n"], input=rendered(terminal=terminal), text=True, check=True)


def test_words_and_folders_are_quoted() -> None:
    text = rendered(writable=[Path("/home/me/out $(x)")])
    assert """echo 'it'"'"'s' </dev/null""" in text
    assert "cd '/home/me/my project'" in text
    assert "mount -t hostfs -o '/home/me/out $(x)' none '/home/me/out $(x)'" in text
    assert """ 'QUOTED=a '"'"'b'"'"' $c' """ in text


def test_the_script_itself_does_not_act_upon_the_commands_environment() -> None:
    text = rendered(environment={"PATH": "/nowhere", "IFS": "0", "ODD NAME": "x"})
    assert "export" not in text
    assert " PATH=/nowhere IFS=0 'ODD NAME=x' " in text


def test_only_the_folders_named_are_writable() -> None:
    assert rendered().count("hostfs") == 0
    assert rendered(writable=[Path("/a"), Path("/b")]).count("hostfs") == 2


def test_a_folder_that_cannot_be_mounted_is_told_and_nothing_is_run() -> None:
    lines = rendered(writable=[Path("/home/me/it's")]).splitlines()
    mounting = next(n for n, line in enumerate(lines) if "hostfs" in line)
    assert lines[mounting].endswith(" 2>&1) ||")
    told = lines[mounting + 1]
    assert (
        """halfopen: the guest cannot mount "/home/me/it'"'"'s" to write to it:' "$why" >/dev/tty1; finish 69; }"""
        in told
    )
    # Printed on consoles that are already set up, from known values, and before the command.
    assert next(n for n, line in enumerate(lines) if "-onlcr" in line) < mounting
    assert lines.index("finish() {") < mounting < next(n for n, line in enumerate(lines) if "setsid" in line)


def run_writable(tmp_path: Path, mount: str) -> tuple[int, str]:
    """Run the lines that mount a folder, with a fake mount. Return the shell's exit code and output."""
    lines = rendered(writable=[tmp_path / "out"]).splitlines()
    mounting = next(n for n, line in enumerate(lines) if "hostfs" in line)
    told = tmp_path / "told"
    told.touch()
    text = "\n".join(lines[mounting : mounting + 2]).replace("/dev/tty1", str(told))
    done = subprocess.run(["sh", "-c", f"mount() {{ {mount}; }}\nfinish() {{ exit $1; }}\n{text}"], check=False)
    return done.returncode, told.read_text()


def test_only_a_mount_that_fails_ends_the_guest(tmp_path: Path) -> None:
    assert run_writable(tmp_path, "true") == (0, "")
    refused = f"halfopen: the guest cannot mount '{tmp_path}/out' to write to it: no such device\n"
    assert run_writable(tmp_path, "echo no such device >&2; return 32") == (69, refused)


def test_virtual_time_has_passed_before_the_command_starts() -> None:
    lines = rendered().splitlines()
    assert lines.index("sleep 2") < next(n for n, line in enumerate(lines) if line.startswith("exec env -i"))


def test_a_terminal_has_its_size() -> None:
    text = rendered(terminal=(132, 50))
    assert "stty -F /dev/tty0 cols 132 rows 50" in text
    assert " COLUMNS=132 " in text
    assert "mkfifo" not in text


def test_a_real_clock_is_not_waited_for_but_where_it_is_below_a_second() -> None:
    text = rendered(virtual=False)
    assert "sleep 2" not in text.splitlines()
    # The clock is not set either: it shows the machine's time, to the microsecond.
    assert "date -s" not in text
    assert "</proc/uptime" in text
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_signals_are_listened_for_before_it_is_said_so() -> None:
    lines = rendered().splitlines()
    assert lines.index("exec 7</dev/tty2") < lines.index("echo listening >/dev/tty2")
    # In the background a shell would make the command ignore SIGINT.
    assert not next(line for line in lines if "setsid" in line).endswith("&")


def before_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the calls before the script's first mount, run with a fake mount and setpriv."""
    calls = tmp_path / "calls"
    calls.touch()
    (tmp_path / "setpriv").write_text(f'#!/bin/sh\necho "setpriv $*" >>{calls}\n')
    (tmp_path / "setpriv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    text = rendered()
    subprocess.run(["sh", "-c", text[: text.index("mount -t proc")]], check=True)
    return calls.read_text()


def test_setuid_is_off_where_mount_is_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As an ordinary user's guest sees it, where nobody owns it.
    if os.geteuid():
        (tmp_path / "mount").symlink_to("/bin/sh")
    else:
        (tmp_path / "mount").write_text("")
        (tmp_path / "mount").chmod(0o755)
        os.chown(tmp_path / "mount", 65534, 65534)
    expected = "setpriv --no-new-privs mount -o remount,bind,ro,nosuid none /\n"
    assert before_proc(tmp_path, monkeypatch) == expected


def test_setuid_stays_where_mount_is_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount").write_text("")
    (tmp_path / "mount").chmod(0o755)
    assert before_proc(tmp_path, monkeypatch) == ""
