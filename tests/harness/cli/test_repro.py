"""``halfopen repro`` as a user runs it: at a terminal, in a script, on either clock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from halfopen.cli.repro import company
from halfopen.repro.keys import REAL, VIRTUAL
from halfopen.scenario import suites
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, POWERLESS, Ran, halfopen
from tests.harness.repro import at_a_terminal
from tests.machine import needs_guest, needs_labs

#: The shortest interval at which a keepalive's ping finds the lock taken. The client freezes at 5 s, the buffers fill,
#: and then the ping is due.
PING = ("--ping", "10s")
HELD = "none acknowledged since"


def looks(ran: Ran) -> list[str]:
    """Return the printed samples."""
    assert ran.code == 0, ran
    return re.split(r"\n\n", ran.out)


def moment(look: str) -> float:
    found = re.search(r"   t = ([\d.]+)s\n", look)
    assert found, look
    return float(found[1])


def row(look: str, counter: str) -> str:
    return next(line.split()[1] for line in look.splitlines() if line.startswith(f"{counter} "))


@needs_labs
def test_it_shows_the_two_stacks_of_the_incident_and_who_holds_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "frozen.pcapng"
    ran = halfopen("repro", "frozen", "--once", "--pcap", str(file), *PING)
    look = looks(ran)[0]
    sender = re.search(r"^thread (\d+) \(runner-s1\): in sendall, holds protocol_mutex$", look, re.MULTILINE)
    assert sender, ran.out
    assert re.search(
        rf"^thread \d+ \(keepalive\): waits for protocol_mutex, held by thread {sender[1]}$", look, re.MULTILINE
    )
    assert re.search(rf"^held at [\d.]+s: wedged: window closed, \d+ kB stuck, {HELD} [\d.]+s$", look, re.MULTILINE)
    assert row(look, "snd_wnd") == "0"
    assert int(row(look, "outq")) > 100_000
    assert "watchdog: held: bytes-acked, grace 30s, no verdict yet; w releases it\n" in look
    assert "session listed, seat taken, health check passing\n" in look
    assert "again:   halfopen repro frozen --seed " in ran.out
    # The first block is a section header (draft-ietf-opsawg-pcapng) that describes the run.
    content = file.read_bytes()
    assert content[:4] == b"\x0a\x0d\x0d\x0a"
    assert b"freeze is in force" in content


@needs_labs
def test_at_a_terminal_keys_thaw_it_freeze_it_and_let_the_watchdog_reap_it(tmp_path: Path) -> None:
    command = [*HALFOPEN, "repro", "frozen", "--grace", "2s", "--poll", "200ms", *PING]
    with at_a_terminal.running(
        command,
        cwd=tmp_path,
    ) as terminal:
        terminal.see(HELD)
        assert terminal.modes() != terminal.before
        terminal.see("held: bytes-acked would have reaped")
        assert "retransmission timeout" not in terminal.text
        terminal.resize(50, 120)
        terminal.see("retransmission timeout")
        terminal.press("d")
        terminal.see("d: read the server's threads")
        terminal.press("t")
        terminal.see("bytes are acknowledged, or none are queued")
        terminal.see("in force: nothing")
        terminal.press("z")
        terminal.see("z: no such key")
        terminal.press("\x1a")
        terminal.see("Ctrl-Z: no such key")
        terminal.press("f")
        terminal.see("in force: freeze since")
        terminal.see("queued, nothing acknowledged for")
        terminal.press("w")
        terminal.see("watchdog: bytes-acked reaped the client at")
        # Known values are polled again without a key.
        terminal.see("session not listed")
        terminal.see("was held at")
        terminal.see_that(lambda text: "in sendall" not in text, "stacks after the reap")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.modes() == terminal.before
        assert "; the session was reaped at" in terminal.text


@needs_labs
def test_a_shell_is_in_the_servers_host_and_ctrl_c_is_its_own_there_and_the_end_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "active.pcapng").write_bytes(b"an earlier one")
    with at_a_terminal.running([*HALFOPEN, "repro", "active"], 30, 120, cwd=tmp_path) as terminal:
        terminal.see("the scenario has no faults")
        terminal.press("s")
        terminal.see("(server) $")
        # The echo only shows that the keys were typed. A shell that is just handing over the terminal (tcsetpgrp) takes
        # the interrupt itself, and keeps waiting for the command.
        terminal.press("sh -c 'echo $((6 * 7)) seconds; exec sleep 100'\n")
        terminal.see("42 seconds")
        terminal.press("\x03")
        # Wait for the prompt: an interrupt discards input typed ahead.
        terminal.see_that(lambda text: text.count("(server) $") == 2, "a second prompt")
        terminal.press("grep -q 198.18.1.2 /proc/net/fib_trie && stty size; exit 7\n")
        terminal.see("30 120")
        terminal.see("s: the shell in the server's host ended (exit code 7)")
        terminal.press("p")
        terminal.see("p: capturing into active-2.pcapng")
        terminal.press("c")
        terminal.see("in force: cut since")
        terminal.press("h")
        terminal.see("h: cut undone")
        terminal.press("\x03")
        assert terminal.end() == 130
        assert terminal.modes() == terminal.before
        assert "again:" in terminal.text
    assert (tmp_path / "active-2.pcapng").stat().st_size > 1000
    assert (tmp_path / "active.pcapng").read_bytes() == b"an earlier one"


@needs_labs
def test_a_killed_hold_leaves_nothing_and_the_terminal_as_it_was(tmp_path: Path) -> None:
    with at_a_terminal.running([*HALFOPEN, "repro", "active"], cwd=tmp_path) as terminal:
        terminal.see("the scenario has no faults")
        below = leftovers.processes_below(terminal.process.pid)
        (worker,) = [pid for pid in below if any(map(_is_the_pod, leftovers.processes_below(pid)[:1]))]
        os.kill(worker, signal.SIGKILL)
        assert terminal.end() == 137
        assert terminal.modes() == terminal.before


@needs_labs
def test_when_all_of_it_is_killed_the_terminal_is_put_back_all_the_same(tmp_path: Path) -> None:
    # Run it below a shell, since a terminal hangs up when its first process ends.
    command = ["sh", "-c", '"$@"; read answer', "sh", *HALFOPEN, "repro", "active"]
    with at_a_terminal.running(command, cwd=tmp_path) as terminal:
        terminal.see("the scenario has no faults")
        assert not terminal.shows_cursor
        below = leftovers.processes_below(terminal.process.pid)
        (tool,) = [pid for pid in below if os.getsid(pid) == terminal.process.pid]
        os.kill(tool, signal.SIGKILL)
        terminal.see_that(lambda _: terminal.modes() == terminal.before, "the modes it had")
        terminal.see_that(lambda _: terminal.shows_cursor, "the cursor")
        # The shell says so too, sooner or later.
        assert terminal.everything.replace(b"Killed\r\n", b"").endswith(b"\x1b[?1049l\x1b[?25h")
        terminal.press("\n")
        terminal.end()


def _is_the_pod(pid: int) -> bool:
    return b"halfopen.pod" in Path(f"/proc/{pid}/cmdline").read_bytes()


@needs_labs
def test_another_servers_watchdog_is_not_held_and_what_it_leaves_is_shown() -> None:
    server = f"{sys.executable} -m halfopen.pod --host {{host}} --port {{port}} --grace 1s --poll 200ms"
    ran = halfopen("repro", "frozen", "--server", server, "--sessions", "/sessions", "--once", "--keys", "wqt")
    look = looks(ran)[-2]
    assert "watchdog: the server's own, which cannot be held\n" in look
    assert re.search(r"the kernel keeps \d+ kB queued in FIN_WAIT1, held by no process\n", look)
    assert "session not listed" in look
    assert look.endswith("w: this server's own watchdog cannot be held")
    assert "s  t: " not in look
    assert "the session was reaped at" in ran.out


@needs_labs
def test_a_fault_is_in_force_since_one_moment_however_long_it_takes_to_be_proved() -> None:
    look = looks(halfopen("repro", "edge_holds", "--once"))[0]
    listed = re.search(r"^in force: vanish since ([\d.]+)s", look, re.MULTILINE)
    told = re.search(r"^ +([\d.]+)s  vanish is in force$", look, re.MULTILINE)
    assert listed, look
    assert told, look
    assert float(told[1]) == pytest.approx(float(listed[1]), abs=0.11)


@needs_labs
def test_of_a_session_that_is_over_the_counters_are_the_last_that_were_seen() -> None:
    look = looks(halfopen("repro", "clean_close", "--once"))[0]
    assert "; nothing is left of it in the kernel\n" in look
    assert re.search(r"^counter +at [\d.]+s last minute", look, re.MULTILINE)
    assert re.search(r"^state .* last seen \S+ ago: it is gone$", look, re.MULTILINE)
    assert "no verdict yet" not in look


@needs_guest
def test_on_the_virtual_clock_time_stands_still_until_a_key_lets_it_pass(tmp_path: Path) -> None:
    file = tmp_path / "frozen.pcapng"
    options = ("frozen", "--clock", "virtual", "--seed", "7", "--grace", "10s", "--once")
    first, second, *_ = looks(held := halfopen("repro", *options, "--keys", "+", "--pcap", str(file)))
    assert "virtual clock, Linux " in held.out
    assert moment(second) - moment(first) == pytest.approx(1.0, abs=0.11)
    assert row(first, "outq") == row(second, "outq")
    assert "waits for protocol_mutex, held by thread" in first
    assert b"freeze is in force" in file.read_bytes()
    # A second may pass for the viewer, and a key that does nothing. The guest was asked again, and no time passed in
    # there.
    before, after, *_ = looks(halfopen("repro", *options, "--keys", "h"))
    assert "h: no fault in force can be healed" in after
    assert _counters(before) == _counters(after)
    # The same seed leads to the same moment.
    assert moment(before) == moment(first)


#: A fault after which nothing is killed any more, and few seconds are waited for it.
UNKILLABLE = """
import contextlib, os
from halfopen.faults.noop import Options, signature
from halfopen.netns import processes

SUMMARY = "nothing can be killed"

@contextlib.contextmanager
def fault(scene, options):
    processes._PATIENCE = 0.01
    os.kill = lambda pid, signal: None
    yield
"""


@needs_guest
def test_on_the_virtual_clock_a_process_that_does_not_end_is_named_after_the_account(tmp_path: Path) -> None:
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "unkillable.py").write_text(UNKILLABLE)
    scenario = tmp_path / "stubborn.toml"
    step = '\n[[step]]\nat = "1s"\nfault = "unkillable"\n'
    active = next(path for path in suites.shipped()["alive"] if path.stem == "active")
    scenario.write_text(active.read_text().replace("\n[expect]", f"{step}\n[expect]"))
    pod = f"{sys.executable} -m halfopen.pod --host {{host}} --port {{port}}"
    server = f"sh -c 'setsid sleep 1000 & exec {pod}'"
    command = ("repro", str(scenario), "--server", server, "--clock", "virtual", "--once")
    ran = halfopen(*command, env=os.environ | {"HALFOPEN_PLUGINS": str(tmp_path)})
    assert ran.code == 69, ran
    assert "; the session was still " in ran.out
    assert re.fullmatch(r"halfopen: stubborn: host 'server': process \d+ \(sleep 1000, .*\) did not end .*\n", ran.err)


def _counters(look: str) -> str:
    """Return the text from the moment to the last of the counters."""
    return look.partition("frozen against")[2].partition("in force:")[0]


@needs_labs
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dead",), "dead: repro holds one scenario, not "),
        (("nosuch",), "no scenario, suite, file or folder is called 'nosuch'"),
        (("--pcap", "/nonexistent/x"), "--pcap '/nonexistent/x': cannot be written: no such file or directory"),
        (("--kernel", "guest"), "--kernel guest: repro uses a guest on the virtual clock only"),
        (("--ping", "5"), "5"),
        (("frozen", "paused"), "frozen, paused: repro holds one scenario, not 2"),
        (("--pcap", "x" * 300), "cannot be written: file name too long"),
        (("--pcap", ""), "is a folder; name a file"),
        (("--pcap", "/etc/passwd"), "--pcap '/etc/passwd': the file exists; name another file"),
        (("--keys", "txt"), "--keys 'txt': 'x' is not a key; the keys are t f c h d w p q"),
        (("--keys", "+"), "--keys '+': '+' is not a key; the keys are "),
        (("--keys", "\x1a"), "'Ctrl-Z' is not a key"),
        (("--keys", "ds"), "--keys 'ds': 's' needs a user at a terminal"),
    ],
)
def test_what_cannot_be_held_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    ran = halfopen("repro", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert said in ran.err


@needs_labs
def test_a_file_in_a_folder_that_may_not_be_looked_into_is_refused_in_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    ran = halfopen("repro", "--pcap", str(closed / "x.pcapng"), under=POWERLESS)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "cannot be written: permission denied" in ran.err


@needs_labs
def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*HALFOPEN, "repro", "active", "--once"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 2
    assert ran.stderr == (
        "halfopen: nothing more can be written: no space left on device; make room, or write elsewhere\n"
    )


@needs_guest
def test_a_guest_has_no_shells_and_says_so() -> None:
    ran = halfopen("repro", "--clock", "virtual", "--keys", "s")
    assert (ran.code, ran.out) == (2, "")
    assert "--keys 's': 's': a guest kernel has no shells" in ran.err


def test_every_key_and_every_option_of_its_own_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "repro.md").read_text()
    keys = {key.key for key in (*REAL, *VIRTUAL)}
    assert {key for key in keys if f"`{key}`" not in text} == set()
    options = {command: _options(command) for command in ("repro", "run")}
    own = options["repro"] - options["run"]
    assert own == {"--ping", "--pcap", "--once", "--for", "--keys"}
    assert {option for option in own if option not in text} == set()


def _options(command: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", halfopen(command, "--help", env=os.environ | {"COLUMNS": "200"}).out))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one_frozen", ["connected too: bystander-1, bystander-2, bystander-3, bystander-4"]),
        ("same_address", ["left out, since they connect later: returning"]),
        ("outage_20s", ["connected too: crowd of 50; nothing is done to them"]),
        ("active", []),
    ],
)
def test_other_clients_are_named_above_and_those_that_come_later_are_left_out(name: str, said: list[str]) -> None:
    (scenario,) = suites.find([name])
    assert company(scenario) == said
