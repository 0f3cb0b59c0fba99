"""``--halfopen-clock virtual``: the whole pytest run in a guest, as if it ran here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness.testing.users import COMMAND, EXAMPLE, GRACE, IN_SHORT, project, ran
from tests.machine import needs_guest, needs_labs

VIRTUAL = ("--halfopen-clock", "virtual")


@needs_guest
def test_the_example_passes_with_a_watchdog_and_its_report_is_written(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=30)
    result = ran(pytester, *VIRTUAL, "--junitxml=out/junit.xml", "--halfopen-seed", "6")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["halfopen: grace 30s, poll 2s, virtual clock, seed 6"])
    assert 'tests="1"' in (pytester.path / "out" / "junit.xml").read_text()


@needs_guest
def test_without_a_watchdog_the_example_fails_with_its_story_and_pytests_exit_code(pytester: pytest.Pytester) -> None:
    project(pytester)
    result = ran(pytester, *VIRTUAL, "--halfopen-seed", "6")
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines(
        [
            r"E .*session still held 3\d\.\ds after the freeze began: .*B queued, nothing acknowledged since .*s",
            r"virtual clock, Linux .*, cubic; grace 30s, poll 2s, seed 6",
            r".*  freeze",
            r"again: pytest .* --halfopen-clock virtual --halfopen-seed 6",
        ]
    )


@needs_guest
def test_what_is_undone_before_the_grace_is_over_is_survived(pytester: pytest.Pytester) -> None:
    """Virtual, since on a real clock a busy machine undoes late, and a path dark for longer heals later still."""
    project(
        pytester,
        f"""
import time

def connected(lab, *args):
    return lab.connect(lab.serve("{COMMAND}"), *args)

def test_what_is_undone_in_time_is_survived_and_the_next_fault_is_judged_by_itself(lab):
    client = connected(lab)
    client.slow("8Mbit")
    client.heal()
    client.freeze()
    assert lab.session(client).kept(for_="0.75 * grace")
    client.thaw()
    assert lab.session(client).kept(for_="grace")
    with client.fault("freeze"):
        assert lab.session(client).reaped()

def test_kept_counts_from_the_last_thing_that_was_done(lab):
    client = connected(lab)
    with client.fault("freeze"):
        assert lab.session(client).kept(for_="0.75 * grace")
        # Read before the thaw, which is over in the lab a moment before it is told of here.
        thawing = time.monotonic()
    assert lab.session(client).kept(for_="grace")
    assert time.monotonic() - thawing >= {GRACE}

def test_a_path_that_was_dark_for_a_while_is_healed(lab):
    client = connected(lab, "acking")
    client.cut()
    assert lab.session(client).kept(for_="grace / 2")
    client.heal()
    assert lab.session(client).kept(for_="grace")
""",
        WATCHDOG=GRACE,
    )
    ran(pytester, *IN_SHORT, *VIRTUAL).assert_outcomes(passed=3)


@needs_guest
def test_a_run_in_a_guest_writes_where_pytest_does_and_is_what_was_called(pytester: pytest.Pytester) -> None:
    project(
        pytester,
        """
import sys, time
def test_it(tmp_path, request, pytestconfig):
    begun = time.monotonic()
    time.sleep(3600)
    assert time.monotonic() - begun >= 3600
    (tmp_path / "left").write_text("here")
    (request.path.parent / "beside").write_text(repr(sys.flags.dev_mode))
    assert False
""",
    )
    base = pytester.path.parent / "base"
    result = pytester.run(
        *(
            sys.executable,
            "-X",
            "dev",
            "-m",
            "pytest",
            *VIRTUAL,
            f"--basetemp={base}",
            "-o",
            "cache_dir=kept",
            "-k",
            "it",
        )
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (pytester.path / "beside").read_text() == "True"
    assert [path.read_text() for path in base.rglob("left")] == ["here"]
    assert (pytester.path / "kept" / "v" / "cache" / "lastfailed").exists()


@needs_guest
def test_a_suite_is_judged_as_by_halfopen_run(pytester: pytest.Pytester) -> None:
    project(pytester, WATCHDOG=30)
    suite = ("--halfopen-suite", "pod_5090", "--halfopen-suite", "alive/satellite", "--halfopen-server", COMMAND)
    result = ran(pytester, *VIRTUAL, *suite, "-k", "frozen or paused or satellite", "-m", "halfopen")
    result.assert_outcomes(passed=3, deselected=4)


def test_without_a_guest_kernel_there_is_one_clear_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project(pytester)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = ran(pytester, *VIRTUAL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --halfopen-clock virtual needs a guest kernel, and there is none; build it*"])


@needs_labs
def test_auto_without_a_guest_kernel_is_the_real_clock(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project(pytester, "def test_it(lab): pass")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = ran(pytester, "--halfopen-clock", "auto")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*real clock*"])


def test_a_clock_that_is_none_is_refused(pytester: pytest.Pytester) -> None:
    project(pytester, EXAMPLE)
    result = ran(pytester, "--halfopen-clock", "virtuel")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --halfopen-clock takes real, virtual or auto, got 'virtuel'"])
