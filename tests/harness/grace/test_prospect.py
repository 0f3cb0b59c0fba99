"""Results that a sweep can have at best, by the statistics of its results, and its duration."""

from __future__ import annotations

import dataclasses

import pytest

from halfopen.grace import mix
from halfopen.grace.draws import draw_all
from halfopen.grace.prospect import Pace, Prospect, minutes, prospect, runs_enough
from halfopen.grace.rates import Rate
from halfopen.grace.sweep import Batch, Sweep
from tests.harness.grace import sweeps

DEFAULT = mix.read()


def of(runs: int, most: float) -> Prospect:
    return prospect(draw_all(DEFAULT, 1, runs, staircase=None), DEFAULT, most)


@pytest.mark.parametrize("most", [0.001, 0.005, 0.02, 0.08])
@pytest.mark.parametrize("runs", [60, 300, 1000, 4900])
def test_a_recommendation_is_possible_exactly_if_some_results_lead_to_one(runs: int, most: float) -> None:
    expected = of(runs, most)
    too_many = next(times for times in range(expected.live) if Rate(times, expected.live).high >= most)
    assert expected.best == Rate(0, expected.live).high
    assert expected.affordable == (too_many - 1 if too_many else None)
    assert expected.can_recommend == (too_many > 0 and Rate(0, expected.dead).high <= 0.1)


@pytest.mark.parametrize("most", [0.001, 0.005, 0.02, 0.08])
def test_enough_runs_are_enough_and_few_less_are_not(most: float) -> None:
    enough = runs_enough(DEFAULT, most)
    assert enough is not None
    assert of(enough, most).can_recommend
    assert not of(enough * 3 // 4, most).can_recommend


def test_the_limit_that_is_proposed_is_one_that_these_runs_can_show() -> None:
    few = of(1000, 0.001)
    assert not few.can_recommend
    assert few.remedy == "--runs 4900, or --max-false-reaps 0.5% would be enough"
    assert of(1000, 0.005).can_recommend


def test_without_dead_clients_nothing_is_enough() -> None:
    alive = dataclasses.replace(DEFAULT, dead_runs=0.0)
    expected = prospect(draw_all(alive, 1, 1000, staircase=False), alive, 0.01)
    assert (expected.enough, expected.can_recommend) == (None, False)
    assert expected.sentences()[1].endswith("to show that a detector notices them; no number of runs is enough")


def test_the_sentences_say_what_can_be_known_and_what_would_be_enough() -> None:
    assert of(60, 0.001).sentences() == [
        "at best none of 48 live sessions is reaped, which proves at most 7.4 % false reaps",
        (
            "no recommendation can come of this: too few to recommend a grace with at most 0.1 %; "
            "--runs 4900 would be enough"
        ),
    ]
    assert of(1000, 0.02).sentences() == [
        "at best none of 800 live sessions is reaped, which proves at most 0.48 % false reaps",
        "a grace with which at most 8 are reaped is recommended (at most 2 %)",
    ]
    assert of(1000, 0.005).sentences()[1] == "a grace with which none is reaped is recommended (at most 0.5 %)"


def batches(count: int) -> list[Batch]:
    sweep = Sweep(1, tuple(sweeps.outage(n, 1.0) for n in range(20 * count)), sweeps.small().candidates, confirm=0.0)
    return list(sweep.batches())


def estimates(count: int, at_once: int, seconds: list[float]) -> list[tuple[float, int] | None]:
    """Return the estimates after each result of a sweep of batches of 20."""
    todo = batches(count)
    pace = Pace(todo, at_once)
    return [pace.add(batch.number, moment) for batch, moment in zip(todo, seconds, strict=True)]


def test_the_duration_is_estimated_once_from_the_first_sessions() -> None:
    assert estimates(4, 1, [10.0, 21.0, 33.0, 40.0]) == [(40.0, 20), None, None, None]


def test_of_several_at_a_time_the_second_counts() -> None:
    assert estimates(6, 2, [9.0, 10.0, 19.0, 20.0, 29.0, 30.0]) == [None, (30.0, 40), None, None, None, None]
    assert estimates(3, 64, [9.0, 10.0, 11.0]) == [None, (10.0, 40), None]


def test_a_sweep_that_is_done_by_then_is_not_estimated() -> None:
    assert estimates(1, 1, [9.0]) == [None]
    assert estimates(2, 2, [9.0, 10.0]) == [None, None]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "10 s"), (44, "40 s"), (140, "2 min"), (1147, "19 min"), (9000, "2 h")]
)
def test_a_duration_is_rough(seconds: float, words: str) -> None:
    assert minutes(seconds) == words
