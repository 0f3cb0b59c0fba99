"""Whole outputs at the supported width."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.color import ColorSystem
from rich.console import Console

from halfopen.cli import screen
from halfopen.model.timeline import Timeline
from halfopen.results.record import Conditions
from halfopen.run.hindrances import LeftOut
from halfopen.run.progress import RunView
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Verdict
from tests.harness.done import missed, pod_job

HOW = Conditions(7, "real", 30, 2, {"kind": "pod"}, "bytes-acked", "2026-01-01T00:00:00+00:00", "6.1.0", "cubic")


def printed(width: int, *things: object, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, force_terminal=colour, no_color=not colour)
    console._color_system = ColorSystem.STANDARD if colour else None
    for thing in things:
        console.print(thing)
    return "\n".join(text.rstrip() for text in stream.getvalue().splitlines())


def test_the_header_says_what_is_measured_under_what_conditions() -> None:
    assert screen.header(HOW).partition(": ")[2] == (
        "pod, detector bytes-acked, grace 30s, poll 2s; real clock, Linux 6.1.0, cubic; seed 7"
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_has_a_row_a_run(width: int) -> None:
    assert printed(width, screen.table([missed()])) == (
        "scenario  client  session  reason  detected   stuck  verdict\n"
        "frozen    dead    kept                       456 kB  ✗ failed"
    )


def test_verdicts_are_coloured_on_a_terminal() -> None:
    assert "\x1b[31m✗ failed\x1b[0m" in printed(80, screen.table([missed()]), colour=True)


def test_progress_shows_state_queue_and_the_time_to_the_verdict() -> None:
    done = RunView(
        "paused", verdict=Verdict("passed", "", "true_keep", find(Timeline(), pod_job().scenario)), deadline=1.0
    )
    views = [RunView("frozen", phase="freeze", queued=456_000), RunView("active"), done]
    assert printed(80, screen.live_table(views)) == (
        "scenario        state                  queued  verdict in\n"
        "frozen          freeze                 456 kB\n"
        "active          waiting\n"
        "paused          passed"
    )


def test_off_a_terminal_each_verdict_is_a_line() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=40, highlight=False)
    with screen.progress(console, []) as on_done:
        on_done(missed())
    assert stream.getvalue() == (
        "frozen: failed: session still held 78s after the freeze began: 456 kB queued, "
        "nothing acknowledged since 5.0s\n"
    )


def test_what_was_left_out_is_counted_with_the_command_that_helps(tmp_path: Path) -> None:
    stream = io.StringIO()
    left_out = [LeftOut(name, "alive", "needs sch_netem", "halfopen kernel build") for name in ("a", "b")]
    left_out.append(LeftOut("c", "dead", "needs the pod"))
    how = dataclasses.replace(HOW, left_out=tuple(left_out))
    screen.show(Console(file=stream, width=100, highlight=False), how, [missed()], tmp_path, 9.0)
    lines = stream.getvalue().splitlines()
    assert lines[-3] == "to run 2 of those left out: halfopen kernel build"
    assert lines[-1].startswith("1 failed, 3 left out in 9s; results: ")
