"""The comparison's whole tables, at the supported widths."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
from collections.abc import Sequence

import msgspec
import pytest
from rich.console import Console

from halfopen.cli import grid
from halfopen.model.timeline import Timeline
from halfopen.results import words
from halfopen.run.hindrances import LeftOut
from halfopen.run.runner import Job, RunResult
from halfopen.scenario import suites
from halfopen.targets.pod import PodTarget
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Class, Timing, Verdict, Word
from tests.harness.lines import event, flowing, line, orphaned, stuck
from tests.harness.report import made

_FROZEN, _ACTIVE = (suites.find([name])[0] for name in ("frozen", "active"))


@functools.cache
def _reaped(at: float) -> Timeline:
    fault = event(4, "fault", "begun", step=0, fault="freeze")
    return line(flowing(0, 5), fault, stuck(5, at), orphaned(at, at + 1))


def done(
    klass: Class,
    word: Word = "passed",
    *,
    name: str = "frozen",
    suite: str = "dead",
    detector: str = "none",
    reaped_at: float = 36.0,
    since: str = "onset",
) -> RunResult:
    base = _ACTIVE if klass == "true_keep" else _FROZEN
    expect = msgspec.structs.replace(base.expect, since=since)
    scenario = msgspec.structs.replace(base, name=name, suite=suite, expect=expect)
    timeline = _reaped(reaped_at) if klass == "true_reap" else line(flowing(0, 5))
    target = PodTarget(detector, 30, 2)
    job = Job(scenario, target, Timing(30, 2), seed=7, repeat=1, ready_within=30, detector=detector, candidate=detector)
    return RunResult(job, Verdict(word, "", klass, find(timeline, scenario)), timeline, 1.0)


def printed(runs: Sequence[RunResult], width: int, *, colour: bool = False) -> str:
    stream = io.StringIO()
    grid.show(Console(file=stream, width=width, highlight=False, force_terminal=colour, legacy_windows=False), runs)
    return "\n".join(text.rstrip() for text in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        (done("true_reap"), "31"),
        (done("true_reap", "failed", reaped_at=104.0), "99!"),
        (done("true_reap", since="fault"), "32'"),
        (done("missed", "failed"), "M"),
        (done("false_reap", "failed"), "F"),
        (done("true_keep"), "k"),
        (done("true_keep", "failed"), "k!"),
        (done("closed"), "c"),
        (done("closed", "failed"), "c!"),
        (done("missed", "inconclusive"), "?"),
        (done("true_reap", "inconclusive"), "?"),
    ],
)
def test_a_cell_says_what_was_done_and_whether_that_is_right(one: RunResult, shown: str) -> None:
    assert grid.cell(one) == shown


def test_the_whole_is_readable_without_colour() -> None:
    runs = [
        done("true_reap", detector="bytes-acked"),
        done("true_reap", "failed", name="vanished", detector="bytes-acked", reaped_at=100.0),
        done("true_keep", name="active", suite="alive", detector="bytes-acked"),
        done("missed", "failed"),
        done("missed", "inconclusive", name="vanished"),
        done("false_reap", "failed", name="active", suite="alive"),
    ]
    assert printed(runs, 80) == (
        "\n"
        "dead\n"
        "  1 frozen     2 vanished\n"
        "              1   2\n"
        "bytes-acked  31 95!\n"
        "none          M   ?\n"
        "\n"
        "alive\n"
        "  1 active\n"
        "            1\n"
        "bytes-acked k\n"
        "none        F\n" + "\n" + "\n".join(words.LEGEND) + "\n\n"
        "            reaped missed false kept closed wrong ? median   max orphan\n"
        "bytes-acked      2                 1            1    63.0s 95.0s   1 kB\n"
        "none                    1     1                 2 1"
    )


DETECTORS = ["tcp-user-timeout", *(f"detector-{n}" for n in range(9))]


def comparison() -> list[RunResult]:
    """Make a comparison of ten detectors and fifty scenarios, with the widest cells."""
    shape: list[tuple[str, int, Class]] = [
        ("dead", 16, "true_reap"),
        ("alive", 28, "true_keep"),
        ("ended", 6, "closed"),
    ]
    return [
        done(klass, "failed", name=f"a_scenario_of_long_name_{n}", suite=suite, detector=detector, reaped_at=105.0)
        for detector, (suite, count, klass) in itertools.product(DETECTORS, shape)
        for n in range(count)
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_fifty_scenarios_and_ten_detectors_fit(width: int) -> None:
    lines = printed(comparison(), width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for suite in ("dead", "alive", "ended"):
        assert suite in lines
    assert sum(text.startswith("tcp-user-timeout ") for text in lines) >= 4  # three suites, and the sums


def test_colour_says_the_same_again() -> None:
    shown = printed([done("missed", "failed"), done("true_reap", name="vanished")], 80, colour=True)
    assert "\x1b[31m" in shown
    assert "\x1b[32m" in shown


def test_what_was_left_out_is_counted_with_the_command_that_helps() -> None:
    stream = io.StringIO()
    left_out = LeftOut("satellite", "alive", "needs sch_netem", "halfopen kernel build")
    how = dataclasses.replace(made.HOW, left_out=(left_out,))
    grid.conclude(Console(file=stream, width=100), how, [done("missed", "failed")], 9.0, "results: x")
    assert stream.getvalue().endswith(
        "to run 1 of those left out: halfopen kernel build\n1 runs, 1 left out in 9s; results: x\n"
    )
