"""The fixture ``lab`` as users have it: a test file, a server beside it, and pytest's output."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import leftovers
from tests.harness.testing.users import COMMAND, EXAMPLE, GRACE, IN_SHORT, project, ran
from tests.machine import WITHOUT_NAMESPACES, needs_guest, needs_labs
from tests.planted import ending

pytestmark = needs_labs

SHORT = EXAMPLE.replace('within="35s"', "")
FROZEN = f"""
def test_it(lab):
    client = lab.connect(lab.serve("{COMMAND}"))
    client.freeze()
"""


def test_the_example_passes_with_a_server_that_has_a_watchdog(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=GRACE)
    ran(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [(), ("-q", "--tb=short")], ids=" ".join)
def test_without_a_watchdog_the_failure_tells_what_was_done_and_what_the_kernel_saw(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    project(pytester, SHORT)
    result = ran(pytester, *IN_SHORT, *options, "--halfopen-seed", "5")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r">?\s+assert lab\.session\(client\)\.reaped\(.*",
            r"E .*session still held .* after the freeze began: .*B queued, nothing acknowledged since .*s; expected: ",
            r"-+ halfopen -+",
            r"real clock, Linux .*; grace 2\.0s, poll 0\.2s, seed 5",
            r"client 1 \(draining\) ──▶ server",
            r" +0\.0s  session open, from .*",
            r" +.*s  freeze",
            r" +.*s  last byte acknowledged: a stall begins",
        ]
    )
    result.stdout.re_match_lines(
        [r" +.*s  ✗ session still held .*", r" +.*s +expected: reaped within 3\.2s of the stall", r"again: pytest .*"]
    )
    result.stdout.no_fnmatch_line("*halfopen/bench*")


def test_the_command_that_is_shown_runs_the_test_again_with_its_seed(pytester: pytest.Pytester) -> None:
    project(pytester, SHORT)
    told = ran(pytester, *IN_SHORT, "--halfopen-seed", "77").stdout.str()
    found = re.search(r"again: pytest (.*)", told)
    assert found is not None
    again = ran(pytester, *found[1].split())
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["halfopen: grace 2.0s, poll 0.2s, real clock, seed 77"])


def test_what_is_not_true_can_be_asserted_and_shows_itself_where_it_is(pytester: pytest.Pytester) -> None:
    project(pytester, SHORT.replace("assert lab", "assert not lab"), WATCHDOG=GRACE)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*assert not <reaped .* after the stall began at .*window closed.*>"])


def test_a_silent_server_that_holds_its_dead_client_fails(pytester: pytest.Pytester) -> None:
    project(pytester, SHORT, SILENT=1, WATCHDOG=GRACE)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*session still held .* after the freeze began.*"])


@pytest.mark.parametrize("word", ["assert", "assert not"])
def test_without_evidence_nothing_is_proved_whatever_is_asserted(pytester: pytest.Pytester, word: str) -> None:
    """A client that reads slowly shows nothing with a server that sends nothing."""
    text = SHORT.replace("client.freeze()", "").replace("reaped()", "kept()").replace("assert", word)
    project(pytester, text.replace("lab.connect(server)", 'lab.connect(server, client="trickling")'), SILENT=1)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*halfopen: nothing is proved: bytes queued in 0 of .*inconclusive.*"])


def test_a_client_to_which_nothing_was_done_is_not_reaped_for_it(pytester: pytest.Pytester) -> None:
    project(pytester, SHORT.replace("client.freeze()", ""), WATCHDOG=GRACE)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *nothing is proved: nothing was done to client 1*"])


def test_an_answer_that_nobody_looks_at_fails_the_test(pytester: pytest.Pytester) -> None:
    project(pytester, SHORT.replace("assert ", ""), WATCHDOG=GRACE)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*halfopen: never checked: reaped(*; write assert in front of it*"])


def test_what_users_do_with_a_lab_spread_over_xdists_workers(pytester: pytest.Pytester) -> None:
    project(
        pytester,
        f"""
def connected(lab, *args):
    return lab.connect(lab.serve("{COMMAND}"), *args)

def test_each_client_of_a_server_has_a_session_of_its_own(lab):
    server = lab.serve("{COMMAND}")
    dead, alive = lab.connect(server), lab.connect(server, client="acking")
    dead.freeze()
    found = lab.session(dead).reaped()
    assert found
    assert found.detection >= {GRACE}
    assert found.stuck_bytes > 0
    assert lab.session(alive).kept(for_="grace")
    assert lab.session(alive).acknowledged > lab.session(dead).acknowledged
    assert lab.session(alive).state == "ESTABLISHED"
    assert lab.session(dead).state != "ESTABLISHED"

def test_what_is_undone_is_over_and_the_next_fault_is_judged_by_itself(lab):
    client = connected(lab)
    client.slow("8Mbit")
    client.heal()
    assert lab.session(client).kept(for_="grace")
    with client.fault("freeze"):
        assert lab.session(client).reaped()

def test_a_killed_client_is_reaped(lab):
    client = connected(lab)
    client.kill()
    assert lab.session(client).reaped(since="fault")

def test_a_close_is_answered(lab):
    client = lab.connect(lab.pod(), client="acking")
    client.close()
    assert lab.session(client).closed()

def test_the_pod_is_a_server_too_and_says_why(lab):
    client = lab.connect(lab.pod("bytes-acked", slice_size="16KiB"))
    client.freeze()
    found = lab.session(client).reaped(reason="send_stall")
    assert found
    assert found.reason == "send_stall"

""",
        WATCHDOG=GRACE,
    )
    ran(pytester, *IN_SHORT, "-n", "4").assert_outcomes(passed=5)


def test_a_reap_of_a_live_client_is_told_as_one(pytester: pytest.Pytester) -> None:
    project(pytester, FROZEN + '    assert lab.session(client).kept(for_="3 * grace")\n', WATCHDOG=GRACE)
    result = ran(pytester, *IN_SHORT)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*a live client was reaped at .*expected: kept for .* after the freeze.*"])


WRONG = {
    "client.fault('freez')": "client 1: freez: unknown fault 'freez'; did you mean 'freeze'?",
    "client.fault('cut', way='both')": "client 1: cut: unknown key 'way'*",
    "client.fault('hold-gil')": "*only the built-in pod takes*",
    "client.thaw()": "there is nothing to thaw: client 1 is under no freeze",
    "client.slow('8')": "*rate*needs a unit*",
    "lab.session(client).kept(for_=5)": "for_: a duration needs a unit*",
    "lab.connect(server, 'acting')": "*unknown client 'acting'; did you mean 'acking'?",
    "lab.connect(server, link='20ms')": "a link is a table, such as {'delay': '20ms'}, got '20ms'",
    "lab.connect(server, rate=object())": "options are texts, numbers, lists and tables*",
    "lab.serve()": "there is no server to start; name one*",
    "lab.serve('no-such-program')": "cannot start the server: no such program: 'no-such-program'*",
    "lab.serve('x', subprotocol='a')": "*unknown key 'subprotocol'; did you mean 'subprotocols'?",
    "lab.pod('byte-acked')": "*unknown detector 'byte-acked'; did you mean 'bytes-acked'?",
}


def test_what_is_asked_wrongly_is_told_in_a_line_at_the_line(pytester: pytest.Pytester) -> None:
    tests = [
        f"def test_{n}(lab):\n    server = lab.serve({COMMAND!r})\n    client = lab.connect(server)\n    {line}\n"
        for n, line in enumerate(WRONG)
    ]
    project(pytester, "\n".join(tests))
    result = ran(pytester, "-n", "2")
    result.assert_outcomes(failed=len(WRONG))
    for line, complaint in WRONG.items():
        result.stdout.fnmatch_lines([f">   *{line}"])
        result.stdout.fnmatch_lines([f"E  * Failed: halfopen: {complaint}"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*halfopen/bench*")


def test_a_server_that_does_not_start_is_told_with_what_it_said(pytester: pytest.Pytester) -> None:
    project(pytester, DYING=1)
    result = ran(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*the server ended with exit code 1 before it listened: .*it said: no database"])


def test_a_machine_that_allows_no_namespaces_is_told_of_with_what_to_do(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    project(pytester)
    monkeypatch.setenv("PYTHONPATH", str(repository / "src"))
    result = pytester.run(*WITHOUT_NAMESPACES, sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *Failed: halfopen: cannot enter namespaces of our own*--halfopen-clock virtual"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_markers_say_what_the_command_line_else_does_and_the_nearest_wins(pytester: pytest.Pytester) -> None:
    project(
        pytester,
        f"""
import pytest
pytestmark = pytest.mark.halfopen(grace="1s", poll="7s", link={{"rate": "20Mbit"}}, seed=3)

@pytest.mark.halfopen(grace="{GRACE}s", server="{COMMAND}")
def test_it(lab):
    client = lab.connect(lab.serve())
    client.freeze()
    assert not lab.session(client).kept(for_="grace + 1s")
    assert False
""",
        WATCHDOG=GRACE,
    )
    result = ran(pytester, "--strict-markers", "--halfopen-server", "no-such-program")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*grace 2.0s, poll 7s, seed 3", "client 1 (draining) ──20Mbit──▶ server"])


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [("grce='1s'", "the marker knows no 'grce'; did you mean 'grace'?"), ("'1s'", "the marker takes keywords only*")],
)
def test_a_marker_that_means_nothing_is_refused(pytester: pytest.Pytester, marker: str, complaint: str) -> None:
    project(pytester, f"import pytest\n@pytest.mark.halfopen({marker})\ndef test_it(lab):\n    pass\n")
    result = ran(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"halfopen: {complaint}"])


def test_the_configuration_may_name_the_server_which_runs_where_pytest_does(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=GRACE)
    pytester.makeini(f"[pytest]\nhalfopen_server = {COMMAND}\nhalfopen_grace = {GRACE}s\n")
    below = pytester.mkdir("below")
    (below / "test_below.py").write_text(SHORT.replace(f'"{COMMAND}"', ""))
    ran(pytester, "below").assert_outcomes(passed=1)


def test_a_command_in_a_test_runs_beside_the_test(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=GRACE)
    below = pytester.mkdir("below")
    for name in ("my_server.py", "test_it.py"):
        (pytester.path / name).rename(below / name)
    ran(pytester, "below").assert_outcomes(passed=1)


def test_a_killed_pytest_leaves_nothing(pytester: pytest.Pytester) -> None:
    project(pytester, FROZEN + '    assert lab.session(client).kept(for_="10min")\n')
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], cwd=pytester.path, stdout=subprocess.DEVNULL
    ) as process:
        try:
            assert leftovers.wait_for_a_stopped_process(process.pid, 60.0) is not None
        finally:
            process.send_signal(signal.SIGKILL)
    # The fixture nothing_left_behind checks the rest.


def test_an_interrupted_pytest_leaves_nothing_and_ends_at_once(pytester: pytest.Pytester) -> None:
    project(pytester, FROZEN + '    assert lab.session(client).kept(for_="10min")\n')
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], cwd=pytester.path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert leftovers.wait_for_a_stopped_process(process.pid, 60.0) is not None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in out


def test_all_workers_draw_from_the_seed_of_the_controller(pytester: pytest.Pytester) -> None:
    project(
        pytester,
        "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(lab, n):\n    assert not lab.seed\n",
    )
    result = ran(pytester, "-n", "2")
    result.assert_outcomes(failed=4)
    assert len(set(re.findall(r"assert not (\d+)", result.stdout.str()))) == 1


@pytest.mark.parametrize("seed", ["-1", "x", str(2**64)])
def test_a_seed_that_is_none_is_refused(pytester: pytest.Pytester, seed: str) -> None:
    project(pytester)
    result = ran(pytester, f"--halfopen-seed={seed}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --halfopen-seed takes a whole number from 0 to 2^64 - 1, got '{seed}'"])


@needs_guest
def test_a_failure_tells_the_cause_and_what_the_server_said(pytester: pytest.Pytester) -> None:
    server = f"{sys.executable} {ending.__file__} {{host}} {{port}} raises"
    project(pytester, f"def test_it(lab):\n    assert lab.session(lab.connect(lab.serve({server!r}))).kept()\n")
    result = ran(pytester, "--halfopen-clock", "virtual")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r" +cause: +the server raised ValueError: no such room: 'lobby'",
            r" +server said:",
            r" +connection handler failed",
            r" +Traceback .*",
        ]
    )
    result.stdout.no_re_match_line(r"server said:")
