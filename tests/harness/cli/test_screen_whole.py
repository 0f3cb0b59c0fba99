"""The whole final output of ``halfopen run`` at the supported widths, with and without colour."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from halfopen.cli import screen
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_bytes
from halfopen.results import baseline
from halfopen.results.record import Conditions
from halfopen.run.progress import RunView
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import judge
from tests import screens
from tests.harness.done import missed, pod_job
from tests.harness.lines import event, flowing, line, orphaned, progress, status, stuck

SCREENS = Path(__file__).with_name("screens")
HOW = Conditions(
    7,
    "virtual",
    30,
    2,
    {"kind": "command", "command": "uvicorn app:app --host {host} --port {port}"},
    None,
    "2026-01-01T00:00:00+00:00",
    "6.12.117",
    "cubic",
    again=("--clock", "virtual", "--kernel", "guest"),
)


def done(name: str, timeline: Timeline) -> RunResult:
    job = pod_job(name)
    return RunResult(job, judge(job.scenario, timeline, job.terms), timeline, 2.0)


def alive() -> RunResult:
    return done("active", line(flowing(0, 83), progress(0, 83, acknowledging=True), status(1, listed=True)))


def killed() -> RunResult:
    """Make a run in which a live client was reaped, and the kernel still holds data."""
    return done("trickle_4k", line(flowing(0, 20), stuck(20, 50.4, outq=131_072), orphaned(50.5, 60, outq=131_072)))


def unproved() -> RunResult:
    return done(
        "vanished", line(flowing(0, 5), event(0.2, "lab", "trouble", what="the client's host could not be cut"))
    )


def closed() -> RunResult:
    """Make a run with the longest name and reason."""
    closing = event(5, "client", "closing")
    said = event(5.1, "target", "session_closed", reason="client_closed", drops={})
    return done("close_backpressured", line(flowing(0, 5), closing, said, event(5.1, "kernel", "destroyed")))


def runs() -> list[RunResult]:
    return [missed(), alive(), killed(), unproved()]


@screens.every_way
def test_a_table_then_a_story_for_each_that_failed_then_what_it_comes_to(width: int, colour: bool) -> None:
    console, written = screens.console(width, colour=colour)
    console.print(screen.header(HOW), soft_wrap=True)
    screen.show(console, HOW, runs(), Path("out"), 12.34)
    screens.compare(SCREENS, "run", width, written.getvalue(), colour=colour)


@screens.every_way
def test_failures_that_are_known_are_told_in_a_line_each(width: int, colour: bool) -> None:
    known = baseline.parse(
        '[known]\n"pod_5090/frozen" = { verdict = "failed", class = "missed", why = "ticket 123" }\n'
        '"alive/active" = { verdict = "failed", class = "false_reap" }',
        "expected.toml",
    )
    console, written = screens.console(width, colour=colour)
    screen.show(console, dataclasses.replace(HOW, baseline=known), [missed(), alive()], Path("deep") / "out", 3.0)
    screens.compare(SCREENS, "run-baseline", width, written.getvalue(), colour=colour)


@screens.every_way
def test_while_it_runs(width: int, colour: bool) -> None:
    views = [
        RunView("frozen", phase="freeze", queued=456_000),
        RunView("outage_27s_rtt300"),
        RunView("active", phase="done", verdict=alive().verdict),
        RunView("trickle_4k", phase="done", verdict=killed().verdict),
        RunView("vanished", phase="done", verdict=unproved().verdict),
    ]
    console, written = screens.console(width, colour=colour)
    console.print(screen.live_table(views))
    screens.compare(SCREENS, "live", width, written.getvalue(), colour=colour)


@pytest.mark.parametrize("width", screens.WIDTHS)
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    console, written = screens.console(width, colour=False)
    console.print(screen.table([*runs(), closed()]))
    assert max(map(len, written.getvalue().splitlines())) <= width
    assert show_bytes(456_000) in written.getvalue()
    assert "client_closed" in written.getvalue()
