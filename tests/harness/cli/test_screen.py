"""What is printed, whole, at the width it is promised for."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.color import ColorSystem
from rich.console import Console

from harness import suites
from harness.cli import live, screen
from harness.findings import find
from harness.judge import Terms, Verdict, judge
from harness.results import Conditions
from harness.run_view import RunView
from harness.runner import Done, Job
from harness.target_spec import TargetSpec
from harness.targets.command import CommandTarget
from harness.targets.pod import PodTarget
from harness.timeline import Timeline
from tests.harness.lines import event, flowing, line, progress, status, stuck

TERMS = Terms(30, 2)
HOW = Conditions(7, "real", 30, 2, {"kind": "pod"}, "bytes-acked", "2026-01-01T00:00:00+00:00", "6.1.0", "cubic")


def job(name: str = "frozen", **changes: object) -> Job:
    (scenario,) = suites.find([name])
    made = Job(scenario, PodTarget("none", 30, 2), TERMS, seed=7, repeat=1, ready_within=30, detector="none")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def missed() -> Done:
    timeline = line(
        flowing(0, 5),
        progress(0, 5, False),
        event(5, "fault", "begun", step=0, fault="freeze"),
        stuck(5, 83, outq=456_000),
        status(1, listed=True),
        status(83, listed=True),
    )
    return Done(job(), judge(job().scenario, timeline, TERMS), timeline, 84.0)


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


def test_a_failure_ends_with_its_story_and_the_command_that_shows_it_again() -> None:
    assert screen.story(missed()) == [
        "frozen   client ──▶ server",
        "  ✗ session still held 78s after the freeze began: 456 kB queued, nothing acknowledged since 5.0s",
        "    expected: reaped within 33s of the stall",
        "again:   halfopen run pod_5090/frozen --seed 7 --grace 30s --poll 2s --detector none",
    ]


def test_the_command_that_shows_it_again_names_clock_and_kernel() -> None:
    where = ["--clock", "virtual", "--kernel", "guest"]
    assert screen.story(missed(), where)[-1].endswith(" --detector none --clock virtual --kernel guest")


def test_the_command_that_shows_it_again_is_whole() -> None:
    spec = TargetSpec(server="serve --on {port}", path="/ws", sessions="/sessions")
    server = job(
        target=CommandTarget(spec),
        detector=None,
        terms=Terms(5, 0.5, 60),
    )
    assert screen.again(server) == (
        "halfopen run pod_5090/frozen --seed 7 --grace 5s --poll 500ms --hold 60s "
        "--server 'serve --on {port}' --path /ws --sessions /sessions"
    )


def test_the_link_is_drawn_with_what_it_does(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert screen.topology(job()) == "client ──▶ server"
    file = tmp_path_factory.mktemp("s") / "slow.toml"
    frozen = next(path for path in suites.shipped()["pod_5090"] if path.stem == "frozen")
    file.write_text(frozen.read_text() + '\n[link]\nrate = "64kbit"\n')
    (scenario,) = suites.find([str(file)])
    assert screen.topology(job(scenario=scenario)) == "client ──64kbit──▶ server"


def test_progress_shows_state_queue_and_the_time_to_the_verdict() -> None:
    done = RunView("paused", verdict=Verdict("passed", "", "true_keep", find(Timeline(), job().scenario)), deadline=1.0)
    views = [RunView("frozen", phase="freeze", queued=456_000), RunView("active"), done]
    assert printed(80, live.table(views)) == (
        "scenario        state                  queued  verdict in\n"
        "frozen          freeze                 456 kB\n"
        "active          waiting\n"
        "paused          passed"
    )


def test_off_a_terminal_each_verdict_is_a_line() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=40, highlight=False)
    with live.progress(console, []) as on_done:
        on_done(missed())
    assert stream.getvalue() == (
        "frozen: failed: session still held 78s after the freeze began: 456 kB queued, "
        "nothing acknowledged since 5.0s\n"
    )
