"""Outages of every length at every phase: they are spread as documented."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise

import pytest

from halfopen.grace import mix
from halfopen.grace.draws import LENGTHS, PHASES, ROUND_TRIPS, staircase_draws, steps_for
from halfopen.grace.sweep import Draw
from halfopen.verdict.judge import Timing, hold

SEED, FIRST = 7, 1000


@pytest.fixture(scope="module")
def steps() -> list[Draw]:
    return list(staircase_draws(SEED, FIRST))


def test_each_length_meets_each_round_trip_at_each_phase_once(steps: list[Draw]) -> None:
    assert len(steps) == len(LENGTHS) * len(ROUND_TRIPS) * PHASES
    assert [draw.number for draw in steps] == list(range(FIRST, FIRST + len(steps)))
    told = Counter((draw.facts["outage_s"], draw.facts["rtt_s"], draw.facts["phase"]) for draw in steps)
    # The longest has no longer one to be spread towards.
    assert max(told.values()) == 1
    assert Counter(draw.facts["rtt_s"] for draw in steps) == dict.fromkeys(ROUND_TRIPS, len(LENGTHS) * PHASES)


def test_lengths_are_spread_evenly_from_one_to_the_next(steps: list[Draw]) -> None:
    outages = sorted({draw.facts["outage_s"] for draw in steps})
    assert (outages[0], outages[-1]) == (LENGTHS[0], LENGTHS[-1])
    assert outages == sorted(
        {one + (after - one) * part / PHASES for one, after in pairwise(LENGTHS) for part in range(PHASES)}
        | {LENGTHS[-1]}
    )


def test_starts_fall_into_every_quarter_of_slices_and_looks(steps: list[Draw]) -> None:
    for _, four in groupby(steps, key=lambda draw: (draw.number - FIRST) // PHASES):
        assert len({draw.facts["at_s"] for draw in four}) == PHASES


def test_which_length_begins_when_differs_with_the_seed_and_nothing_else_does(steps: list[Draw]) -> None:
    assert list(staircase_draws(SEED, FIRST)) == steps
    others = list(staircase_draws(SEED + 1, FIRST))
    assert [draw.facts["at_s"] for draw in others] != [draw.facts["at_s"] for draw in steps]
    assert [draw.facts["outage_s"] for draw in others] == [draw.facts["outage_s"] for draw in steps]


def test_each_is_a_scenario_that_does_what_its_facts_say(steps: list[Draw]) -> None:
    for draw in steps:
        scenario = mix.parsed(draw.scenario, draw.name, draw.name)
        [step] = scenario.steps
        assert (scenario.truth, step.fault, draw.part, draw.cause) == ("alive", "cut", "staircase", "staircase")
        assert step.lasting is not None
        assert step.lasting.seconds(grace=1, poll=1) == pytest.approx(draw.facts["outage_s"])
        assert step.at.seconds(grace=1, poll=1) == pytest.approx(draw.facts["at_s"])
        assert scenario.link.to_client.delay == scenario.link.to_server.delay == pytest.approx(draw.facts["rtt_s"] / 2)


def test_each_is_looked_at_until_the_kernel_has_tried_again(steps: list[Draw]) -> None:
    for draw in steps:
        # RFC 6298, section 5.5: at most twice the outage and one timeout, which begins at 200 ms and a round trip.
        needed = 2 * draw.facts["outage_s"] + 2 * (0.2 + draw.facts["rtt_s"])
        assert hold(mix.parsed(draw.scenario, draw.name, draw.name), Timing(90.0, 2.0)) > needed


@pytest.mark.parametrize(
    ("runs", "count"), [(20, 36), (60, 36), (144, 72), (288, 144), (575, 144), (576, 288), (9999, 288)]
)
def test_a_small_sweep_has_a_part_of_it_with_the_same_outages(runs: int, count: int, steps: list[Draw]) -> None:
    part = list(staircase_draws(SEED, FIRST, steps_for(runs)))
    assert len(part) == count
    assert all(draw in steps for draw in part)


@pytest.mark.parametrize("runs", [20, 144, 288])
def test_every_part_has_short_and_long_outages_over_every_round_trip(runs: int) -> None:
    part = list(staircase_draws(SEED, FIRST, steps_for(runs)))
    for rtt in ROUND_TRIPS:
        lengths = [draw.facts["outage_s"] for draw in part if draw.facts["rtt_s"] == rtt]
        assert min(lengths) <= LENGTHS[1]
        assert max(lengths) == LENGTHS[-1]
