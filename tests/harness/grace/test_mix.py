from __future__ import annotations

import math
import re
import statistics
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.grace import mix
from halfopen.grace.draws import MOST_RUNS, RecordedLink, draw_all
from halfopen.grace.mix import Mix
from halfopen.grace.sweep import Draw
from halfopen.model.link_trace import parse as parse_trace
from halfopen.netns.units import LONGEST
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, hold
from tests import chance
from tests.harness.grace.test_mix_conditions import ALIVE, DEAD

SEED = 7
#: Enough to draw every condition of the default mix.
RUNS = 2000
#: The largest grace in a default sweep, and its poll, seconds.
GRACE, POLL = 90.0, 2.0
#: Average lab seconds of a run, if a sweep of the default mix is to take minutes.
AVERAGE = 60.0

SMALL = f"""
title = "Small"
dead_runs = "25%"
[alive.outage]
weight = "100%"
source = "guess"
scenario = '''{ALIVE}'''
[alive.outage.draw]
outage = {{ distribution = "log-uniform", from = "1s", to = "60s", source = "guess" }}
rtt = {{ distribution = "uniform", from = "20ms", to = "300ms", source = "guess" }}
loss = {{ distribution = "choice", of = ["0%", "1%"], source = "guess" }}
[dead.frozen]
weight = "100%"
source = "guess"
scenario = '''{DEAD}'''
"""


def read(text: str, folder: Path) -> Mix:
    (folder / "mix.toml").write_text(text)
    return mix.read(folder / "mix.toml")


@pytest.fixture(scope="module")
def default() -> Mix:
    return mix.read()


@pytest.fixture(scope="module")
def drawn(default: Mix) -> tuple[Draw, ...]:
    return draw_all(default, SEED, RUNS)


@pytest.fixture(scope="module")
def scenarios(drawn: tuple[Draw, ...]) -> dict[int, Scenario]:
    return {draw.number: mix.parsed(draw.scenario, draw.name, draw.name) for draw in drawn}


def test_the_default_mix_adds_up(default: Mix) -> None:
    for kind in (default.alive, default.dead):
        assert math.isclose(math.fsum(condition.weight for condition in kind), 1.0)


def test_every_number_of_the_default_mix_names_its_source_or_says_that_it_is_a_guess(default: Mix) -> None:
    known = re.compile(r"\bguess|(19|20)\d\d|RFC \d+|tcp\(7\)|MDN|^as under |^none needed: ")
    for condition in (*default.alive, *default.dead):
        assert known.search(condition.source), condition.name
        for name, spread in condition.parameters.items():
            assert known.search(spread.source), (condition.name, name)
            if "guess" not in spread.source:
                assert re.search(r"(19|20)\d\d|RFC|tcp\(7\)|as under|none needed", spread.source), (
                    condition.name,
                    name,
                )


def test_every_condition_of_the_default_mix_is_drawn_and_about_as_often_as_it_says(
    default: Mix, drawn: tuple[Draw, ...]
) -> None:
    causes = [draw.cause for draw in drawn if draw.part == "mix"]
    for condition in default.alive:
        assert causes.count(condition.name) in chance.binomial(len(causes), condition.weight), condition.name
        assert condition.name in causes
    assert {draw.cause for draw in drawn if draw.part == "dead"} == {condition.name for condition in default.dead}


def test_every_draw_is_a_scenario_that_expects_what_its_part_says(
    drawn: tuple[Draw, ...], scenarios: dict[int, Scenario]
) -> None:
    for draw in drawn:
        scenario = scenarios[draw.number]
        assert scenario.truth == ("dead" if draw.part == "dead" else "alive")
        assert scenario.expect.session == ("reaped" if draw.part == "dead" else "kept")
        assert set(scenario.netem_fields) <= {"delay", "loss"}


def test_every_alive_client_is_looked_at_until_the_kernel_has_tried_again_after_its_outage(
    drawn: tuple[Draw, ...], scenarios: dict[int, Scenario]
) -> None:
    outages = [draw for draw in drawn if draw.part == "mix" and "outage_s" in draw.facts]
    assert outages
    for draw in outages:
        # RFC 6298, section 5.5: at most twice the outage and one timeout, which begins at 200 ms and a round trip.
        needed = 2 * draw.facts["outage_s"] + 2 * (0.2 + draw.facts["rtt_s"])
        assert hold(scenarios[draw.number], Timing(GRACE, POLL)) > needed


def test_every_dead_client_is_looked_at_for_longer_than_the_largest_grace(scenarios: dict[int, Scenario]) -> None:
    dead = [scenario for scenario in scenarios.values() if scenario.truth == "dead"]
    assert len(dead) == RUNS / 5
    assert all(hold(scenario, Timing(GRACE, POLL)) >= GRACE + POLL + 5 for scenario in dead)


def test_the_runs_take_no_more_lab_time_on_average_than_was_set(scenarios: dict[int, Scenario]) -> None:
    def lasting(one: Scenario) -> float:
        first = min((step.at.seconds(grace=GRACE, poll=POLL) for step in one.steps), default=0.0)
        return first + hold(one, Timing(GRACE, POLL))

    assert statistics.mean(map(lasting, scenarios.values())) <= AVERAGE


def test_the_same_seed_draws_the_same_and_another_something_else(default: Mix, drawn: tuple[Draw, ...]) -> None:
    assert draw_all(default, SEED, RUNS) == drawn
    assert draw_all(default, SEED + 1, RUNS) != drawn


def test_a_draw_does_not_depend_on_how_many_there_are(default: Mix, drawn: tuple[Draw, ...]) -> None:
    assert draw_all(default, SEED, 100, staircase=False) == drawn[:100]


def test_numbers_and_names_are_unlike_each_other(drawn: tuple[Draw, ...]) -> None:
    steps = [draw.number for draw in drawn if draw.part == "staircase"]
    assert [draw.number for draw in drawn] == [*range(len(drawn) - len(steps)), *steps]
    assert steps == list(range(MOST_RUNS, MOST_RUNS + len(steps)))
    assert len({draw.name for draw in drawn}) == len(drawn)
    assert all(re.fullmatch(r"(\d{4,}|staircase-\d{3})-[a-z0-9.-]+", draw.name) for draw in drawn)


def test_dead_clients_come_evenly_among_the_others(tmp_path: Path) -> None:
    parts = [draw.part for draw in draw_all(read(SMALL, tmp_path), SEED, 12, staircase=False)]
    assert parts == ["mix", "mix", "mix", "dead"] * 3


def test_draws_recorded_take_their_share_of_the_alive_sessions_and_leave_the_dead_as_they_were(tmp_path: Path) -> None:
    found = read(SMALL, tmp_path)
    with_traces = draw_all(found, SEED, 400, False, [RecordedLink("trace-a", parse_trace("time,loss\n0,0\n90,0", "a"))])
    without = draw_all(found, SEED, 400, staircase=False)
    assert sum(draw.cause == "trace-a" for draw in with_traces) in chance.binomial(300, 0.5)
    assert [d for d in with_traces if d.cause != "trace-a"] == [
        d for d, other in zip(without, with_traces, strict=True) if other.cause != "trace-a"
    ]


MISTAKES = [
    ("title = ", "titel = ", "unknown key 'titel'; did you mean 'title'?"),
    ('dead_runs = "25%"', "", "key 'dead_runs' is missing"),
    ('dead_runs = "25%"', 'dead_runs = "100%"', "key 'dead_runs' is 100%, which leaves none"),
    ('dead_runs = "25%"', "dead_runs = 0.25", "key 'dead_runs': a share needs a unit: got 0.25"),
    ('weight = "100%"', 'weight = "97%"', "the weights under [alive] add up to 97.0000%, which must be 100%"),
    ('from = "1s"', 'from = "61s"', "alive.outage.draw.outage: 'from' of '61s' is not less than 'to' of '60s'"),
    ('fault = "cut"', 'fault = "cutt"', "alive.outage.scenario: step 1: unknown fault 'cutt'; did you mean 'cut'?"),
    # The hold of its median is possible, that of its longest is not.
    ('to = "60s"', f'to = "{LONGEST * 0.75:.0f}s"', f"alive.outage.scenario with outage of {LONGEST * 0.75:.0f}s: "),
    ("title = ", "title ", "mix.toml: not TOML"),
]


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKES, ids=[told[:40] for _, _, told in MISTAKES])
def test_a_mistake_is_told_with_its_file_key_and_value(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    assert right in SMALL
    with pytest.raises(InputError) as refused:
        read(SMALL.replace(right, wrong, 1), tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}/mix.toml: ")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such mix file: .*nowhere\.toml$"):
        mix.read(tmp_path / "nowhere.toml")
