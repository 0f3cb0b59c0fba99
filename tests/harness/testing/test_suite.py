"""Scenarios as pytest items, on the real clock: in parallel, selected like tests, and with xdist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from halfopen.run.request import RunRequest
from halfopen.testing.share import SuiteShare
from tests import leftovers
from tests.harness.testing.users import COMMAND, GRACE, IN_SHORT, project, ran
from tests.machine import needs_labs

pytestmark = needs_labs

SERVER = ("--halfopen-server", COMMAND)


def asked(*names: str) -> list[str]:
    return [word for name in names for word in ("--halfopen-suite", name)]


def test_scenarios_run_side_by_side_and_only_those_that_are_selected(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=GRACE)
    suite = asked("pod_5090", "alive/slow_link")
    result = ran(pytester, *IN_SHORT, *suite, *SERVER, "-k", "halfopen and not clean_close and not slow", "-v", "-rA")
    result.assert_outcomes(passed=4, deselected=3)
    result.stdout.fnmatch_lines(["halfopen::pod_5090/active PASSED*", "halfopen::pod_5090/frozen PASSED*"])
    result.stdout.re_match_lines([r"reaped .*s after the stall began at .*window closed.*"])


def test_a_failure_tells_the_story_and_an_inconclusive_scenario_is_one_in_words_of_its_own(
    pytester: pytest.Pytester,
) -> None:
    project(pytester)
    frozen = ran(pytester, *IN_SHORT, *asked("dead/frozen"), *SERVER, "-m", "halfopen", "--halfopen-seed", "8")
    frozen.assert_outcomes(failed=1, deselected=1)
    frozen.stdout.re_match_lines(
        [
            r"frozen   client ──▶ server",
            r"  ✗ session still held .* after the freeze began: .*",
            r"    expected: reaped within 3\.2s of the stall",
            r"again:   halfopen run frozen --seed 8 --grace 2s --poll 200ms --server '.*' --clock real --.*",
        ]
    )
    project(pytester, SILENT=1)
    slow = 'title = "x"\nstory = "x"\ntruth = "alive"\nclient = "trickling"\n[expect]\nsession = "kept"\n'
    file = pytester.makefile(".toml", slow=slow)
    silent = ran(pytester, *IN_SHORT, *asked(str(file)), *SERVER, "-m", "halfopen")
    silent.assert_outcomes(failed=1, deselected=1)
    silent.stdout.re_match_lines([r"inconclusive, which proves nothing:", r".*", r"  \? nothing is proved: .*"])


def test_a_scenario_that_the_server_cannot_be_asked_is_skipped(pytester: pytest.Pytester) -> None:
    project(pytester, SILENT=1)
    result = ran(pytester, *IN_SHORT, *asked("alive/trickle_64k", "alive/active"), *SERVER, "-m", "halfopen", "-rs")
    result.assert_outcomes(passed=1, skipped=1, deselected=1)
    result.stdout.fnmatch_lines(["SKIPPED*not applicable: needs a server that streams; this one was silent for *"])


def test_xdists_workers_share_them_and_wait_for_each_others(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=GRACE)
    suite = asked("dead/frozen", "dead/vanished", "alive/active", "dead/frozen_tls")
    result = ran(pytester, *IN_SHORT, *suite, *SERVER, "-n", "2", "-m", "halfopen", "-v", "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    workers = {line.split("]")[0] for line in result.outlines if line.startswith("[gw")}
    assert workers == {"[gw0", "[gw1"}
    result.stdout.fnmatch_lines(["SKIPPED*frozen_tls*needs the built-in server (the pod)*"])


def test_a_server_that_does_not_start_fails_each_in_one_line(pytester: pytest.Pytester) -> None:
    project(pytester, DYING=1)
    result = ran(pytester, *asked("dead/frozen", "alive/active"), *SERVER, "-m", "halfopen")
    result.assert_outcomes(failed=2, deselected=1)
    result.stdout.re_match_lines([r"dead/frozen: the server ended with exit code 1 .*it said: no database"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (asked("frozn"), "*no scenario, suite, file or folder is called 'frozn'; did you mean 'frozen'?"),
        ([*asked("dead"), "--halfopen-grace", "5"], "*--halfopen-grace: a duration needs a unit*"),
        ([*asked("dead"), "--halfopen-target", "no.toml"], "*no such target file: *no.toml"),
        ([*asked("dead"), *SERVER, "--halfopen-detector", "outq"], "*--detector 'outq': is the pod's*"),
    ],
    ids=["suite", "grace", "target", "detector"],
)
def test_what_means_nothing_is_refused_before_anything_starts(
    pytester: pytest.Pytester, options: list[str], complaint: str
) -> None:
    project(pytester)
    result = ran(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])


def test_what_is_only_listed_is_not_begun(pytester: pytest.Pytester) -> None:
    project(pytester, DYING=1)
    result = ran(pytester, *asked("pod_5090"), "--collect-only", "-q")
    result.stdout.fnmatch_lines(["halfopen::pod_5090/active", "halfopen::pod_5090/paused"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_failure_that_ends_the_run_ends_what_is_still_under_way(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    project(pytester)
    # The last takes a quarter of an hour. This test ends, so it was cancelled.
    suite = asked("dead/frozen", "alive/active", "wedge")
    result = ran(pytester, "-x", *workers, *IN_SHORT, *suite, "--halfopen-detector", "none", "-m", "halfopen")
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)


def test_one_that_was_killed_is_known_before_the_kernel_is_done_with_it(tmp_path: Path) -> None:
    """Its files are closed, but it still exists."""
    folder = tmp_path / "results"
    folder.mkdir()
    request = RunRequest(seed=1, grace=2.0, poll=0.2, names=["dead/frozen"])
    share = SuiteShare(request, str(folder), names=[], clock="real", at_once=1)
    command = [sys.executable, "-P", "-m", "halfopen.testing.share"]
    subprocess.run(command, input=msgspec.json.encode(share) + b"\n", stdout=subprocess.DEVNULL, check=False)
    assert not folder.exists()


def test_a_killed_pytest_leaves_nothing_of_its_scenarios(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(pytester)
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("temporary")))
    before = leftovers.take_stock()
    command = [
        sys.executable,
        "-m",
        "pytest",
        *asked("dead/frozen"),
        *SERVER,
        "-m",
        "halfopen",
        "--halfopen-grace",
        "10min",
    ]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as process:
        try:
            assert leftovers.wait_for_a_stopped_process(process.pid, 60.0) is not None
            assert list((pytester.path / "temporary").iterdir())
        finally:
            process.kill()
    assert leftovers.since(before) == {}
    assert not list((pytester.path / "temporary").iterdir())
