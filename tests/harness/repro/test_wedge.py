"""A session is held once its writer is blocked, and not a moment before."""

from __future__ import annotations

import msgspec
import pytest

from halfopen.model.expressions import Expression
from halfopen.model.timeline import Sample, Timeline
from halfopen.repro.wedge import why_hold
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing
from tests.harness.lines import RATE, event, flowing, line, sample, stuck, times

TERMS = Timing(30, 2)
BEGUN = event(5, "fault", "begun", step=0, fault="freeze")


def scenario(name: str = "frozen") -> Scenario:
    (found,) = suites.find([name])
    return found


def filling(start: float, end: float, writes_every: float = 0.05) -> list[Sample]:
    """Return samples in which the client has gone, and the server keeps writing into its queue."""
    written = 1 + int(start * RATE)
    return [
        sample(t, bytes_acked=written, snd_wnd=0, outq=1000 + int((t - start) / writes_every + 1e-6) * 5000)
        for t in times(start, end)
    ]


def held(seen: Timeline, now: float, what: Scenario | None = None) -> str | None:
    return why_hold(seen, what or scenario(), TERMS, now)


def test_it_is_held_once_the_writer_writes_no_more() -> None:
    queue = filling(5, 7)
    seen = line(flowing(0, 5), BEGUN, queue, stuck(7, 8.2, outq=queue[-1].outq, bytes_acked=1 + 5 * RATE))
    assert held(seen, 8.2) == "wedged: window closed, 196 kB stuck, none acknowledged since 5.0s"


@pytest.mark.parametrize("until", [5.5, 7.0, 14.9])
def test_a_stall_into_which_the_server_still_writes_is_no_wedge_yet(until: float) -> None:
    assert held(line(flowing(0, 5), BEGUN, filling(5, until)), until) is None


def test_a_writer_that_writes_seldom_is_given_the_time_to_write() -> None:
    slow = [sample(t, bytes_acked=1 + int(t / 2) * 1000) for t in times(0, 5)]
    seen = line(slow, BEGUN, filling(5, 8.5, writes_every=2.0))
    assert held(seen, 8.5) is None


def test_before_the_fault_no_stall_counts() -> None:
    assert held(line(flowing(0, 1), stuck(1, 4)), 4) is None


def test_where_no_wedge_comes_it_is_held_all_the_same_and_says_so() -> None:
    seen = line(flowing(0, 15.1), BEGUN)
    assert held(seen, 14.9) is None
    assert held(seen, 15.1) == "not wedged 10.1s after freeze began; nothing queued"


def test_it_is_held_before_the_fault_is_undone() -> None:
    short = scenario()
    step = msgspec.structs.replace(short.steps[0], lasting=Expression("5s"))
    short = msgspec.structs.replace(short, steps=(step,))
    assert held(line(flowing(0, 9.1), BEGUN), 8.9, short) is None
    assert held(line(flowing(0, 9.1), BEGUN), 9.1, short) is not None


def test_a_later_fault_is_waited_for() -> None:
    twice = scenario()
    twice = msgspec.structs.replace(twice, steps=twice.steps * 2)
    assert held(line(flowing(0, 60), BEGUN), 60, twice) is None


def test_a_client_to_which_nothing_is_done_is_held_when_it_streams() -> None:
    active = scenario("active")
    assert active.steps == ()
    assert held(line(flowing(0, 4)), 4, active) is None
    assert held(line(flowing(0, 5)), 5, active) == "the scenario has no faults; nothing queued"
