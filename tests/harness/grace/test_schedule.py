"""The staircase, measured in a guest, against the kernel's own rules, computed independently (schedule.py).

The measurements are when acknowledgements stop and resume, sampled from outside. The watchdog's own rule, replayed over
them, gives the outages that are always survived, whenever it polls.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from halfopen.grace import replay
from halfopen.grace.draws import LENGTHS, ROUND_TRIPS, staircase_draws
from halfopen.grace.sweep import Draw
from halfopen.model import timeline
from halfopen.model.evidence import established, longest_stall
from halfopen.model.timeline import Timeline
from halfopen.pod.watchdog import StallRule
from tests.harness.cli.tool import halfopen
from tests.harness.grace import schedule
from tests.machine import needs_guest

#: The guest kernel's HZ (halfopen.netns.guest.building), and the largest gap between samples.
HZ, SAMPLING = 100, 0.06
#: Graces for each round trip at which the rules leave no doubt about the last attempt in time.
GRACES = {0.02: (10.0, 20.0, 45.0), 0.1: (12.0, 25.0, 50.0), 0.3: (20.0, 40.0)}
SEED = 7
POLL = 2.0
#: One length of each step.
UP_TO, PHASE = 48.0, 0.5


class Outage(NamedTuple):
    seconds: float
    rtt: float
    stall: float
    onset: float
    seen: Timeline

    def is_ever_reaped(self, grace: float) -> bool:
        session = replay.seen(self.seen, self.seen.samples[-1].t)
        return replay.at_all_phases(session, StallRule, grace, POLL, self.onset).worst


def _outage(draw: Draw, seen: Timeline) -> Outage:
    stall = longest_stall(established(seen))
    assert stall is not None
    return Outage(draw.facts["outage_s"], draw.facts["rtt_s"], stall.seconds, stall.onset, seen)


def measured(folder: Path, rtt: float) -> list[Outage]:
    of_phase = [draw for draw in staircase_draws(SEED, 0) if (draw.facts["phase"], draw.facts["rtt_s"]) == (PHASE, rtt)]
    draws = [draw for draw in of_phase if draw.facts["outage_s"] <= UP_TO]
    for draw in draws:
        (folder / f"{draw.name}.toml").write_text(draw.scenario)
    terms = ("--detector", "none", "--clock", "virtual", "--seed", "7", "--out", str(folder / "out"))
    ran = halfopen("run", str(folder), *terms)
    assert ran.code == 0, ran
    timelines = {draw.name: timeline.read(folder / "out" / "timelines" / f"{draw.name}.jsonl") for draw in draws}
    return sorted((_outage(draw, timelines[draw.name]) for draw in draws), key=lambda one: one.seconds)


@pytest.fixture(
    scope="module",
    params=[
        # If the shortest and the longest are right, so is anything between them.
        rtt if rtt in {min(ROUND_TRIPS), max(ROUND_TRIPS)} else pytest.param(rtt, marks=pytest.mark.exhaustive)
        for rtt in ROUND_TRIPS
    ],
)
def outages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Outage]:
    return measured(tmp_path_factory.mktemp("staircase"), request.param)


@needs_guest
def test_every_outage_stalls_for_as_long_as_the_schedule_says(outages: list[Outage]) -> None:
    assert len(outages) == sum(length < UP_TO for length in LENGTHS)
    for one in outages:
        expected = schedule.stall(one.seconds, one.rtt, HZ)
        assert expected.low - SAMPLING <= one.stall <= expected.high + SAMPLING, one


@needs_guest
def test_the_longest_outage_always_survived_is_that_of_the_schedule(outages: list[Outage]) -> None:
    for grace in GRACES[outages[0].rtt]:
        killed = next(n for n, one in enumerate(outages) if one.is_ever_reaped(grace))
        expected = schedule.longest_survived(grace, outages[0].rtt, HZ)
        # The last survived outage tried is within the bound, and the first fatal one is not below it.
        assert outages[killed - 1].seconds <= expected.high, (grace, outages[killed - 1])
        assert outages[killed].seconds >= expected.low, (grace, outages[killed])


@pytest.mark.parametrize("rtt", ROUND_TRIPS)
def test_the_bounds_are_narrow_enough_to_tell_one_attempt_from_the_next(rtt: float) -> None:
    tried = list(schedule.attempts(rtt, HZ))[2:12]
    assert all(one.high < later.low for one, later in pairwise(tried))
    for grace in GRACES[rtt]:
        low, high = schedule.longest_survived(grace, rtt, HZ)
        assert high < 1.4 * low + 1


def test_intervals_double_from_a_fifth_of_a_second_and_a_round_trip() -> None:
    lows = [one.low for one in schedule.attempts(0.02, HZ)]
    assert lows[:8] == pytest.approx([0.22 * (2**k - 1) for k in range(1, 9)])


def test_an_interval_is_two_minutes_at_most_and_the_last_is_over_after_fifteen() -> None:
    """tcp(7): with 15 retries a connection is given up after 924.6 s, for a timeout of 200 ms."""
    tried = [one.low for one in schedule.attempts(0.0, HZ)]
    assert len(tried) == 15
    assert tried[-1] - tried[-2] == 120.0
    assert tried[-1] + 120.0 == pytest.approx(924.6)


def test_timers_are_coarser_the_longer_they_are() -> None:
    assert [schedule.timer_grain(wait, HZ) for wait in (0.1, 0.62, 0.63, 5.0, 6.0, 50.0)] == [
        0.01,
        0.01,
        0.08,
        0.08,
        0.64,
        5.12,
    ]
