"""Conditions of a mix: drawn values, and invalid ones."""

from __future__ import annotations

import random
from typing import Any

import pytest

from halfopen.errors import InputError
from halfopen.grace import mix
from halfopen.grace.mix import Condition

ALIVE = """
title = "t"
story = "s"
truth = "alive"
[client]
behaviour = "acking"
receive_buffer = "128KiB"
[link]
delay = "{rtt / 2}"
to_client = { loss = "{loss}" }
[expect]
session = "kept"
hold = "2 * {outage} + 5s"
[[step]]
at = "4s"
fault = "cut"
for = "{outage}"
"""
DEAD = """
title = "t"
story = "s"
truth = "dead"
client = "draining"
[[step]]
at = "4s"
fault = "freeze"
[expect]
session = "reaped"
within = "grace + poll + 1s"
"""
TABLE: dict[str, Any] = {
    "weight": "50%",
    "source": "guess",
    "scenario": ALIVE,
    "draw": {
        "outage": {"distribution": "log-uniform", "from": "1s", "to": "60s", "source": "guess"},
        "rtt": {"distribution": "uniform", "from": "20ms", "to": "300ms", "source": "guess"},
        "loss": {"distribution": "choice", "of": ["0%", "1%"], "source": "guess"},
    },
}


def read(table: object = TABLE, name: str = "outage") -> Condition:
    return mix.read_condition(name, table, "alive", f"m: alive.{name}")


def refused(table: object = TABLE, name: str = "outage") -> str:
    with pytest.raises(InputError) as told:
        read(table, name)
    assert str(told.value).startswith(f"m: alive.{name}")
    assert "\n" not in str(told.value)
    return str(told.value)


def test_what_was_drawn_is_what_stands_in_the_scenario() -> None:
    condition = read()
    for number in range(40):
        drawn = condition.draw(random.Random(number))
        scenario = mix.parsed(mix.fill(condition.template, drawn, "m"), "outage", "m")
        [step] = scenario.steps
        assert step.lasting is not None
        assert step.lasting.seconds(grace=1, poll=1) == pytest.approx(drawn["outage"].value)
        assert scenario.link.to_server.delay == pytest.approx(drawn["rtt"].value / 2)
        assert scenario.link.to_client.loss == pytest.approx(drawn["loss"].value)


def test_every_parameter_takes_one_random_number_in_the_files_order() -> None:
    condition, rng = read(), random.Random(7)
    expected = {name: spread.at(rng.random()) for name, spread in condition.parameters.items()}
    assert condition.draw(random.Random(7)) == expected
    assert list(expected) == ["outage", "rtt", "loss"]


def test_what_is_typical_is_the_median() -> None:
    assert {name: str(value) for name, value in read().typical().items()} == {
        "outage": "7.746s",
        "rtt": "160ms",
        "loss": "1%",
    }


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{rtt}", "160ms"),
        ("{rtt / 2}", "0.08s"),
        ("{outage + rtt}", "7.906s"),
        ("{outage * 2 - 1s}", "14.492s"),
        ("{ loss = 1 } {} {Rtt}", "{ loss = 1 } {} {Rtt}"),
    ],
)
def test_places_are_filled_with_what_comes_of_them_and_tables_are_left_alone(template: str, filled: str) -> None:
    assert mix.fill(template, read().typical(), "m") == filled


def test_a_condition_with_nothing_to_draw_is_one() -> None:
    scenario = ALIVE.replace("{rtt / 2}", "10ms").replace("{loss}", "1%").replace("{outage}", "5s")
    assert read({"weight": "50%", "source": "guess", "scenario": scenario}).draw(random.Random(7)) == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"weight": "lots"}, "key 'weight': a share is a number and a unit: got 'lots'"),
        ({"weight": "200%"}, "key 'weight': a share is at most 100%: got '200%'"),
        ({"weight": float("nan")}, "key 'weight': a share needs a unit: got nan"),
        ({"source": " "}, "key 'source' is empty; say where the weight is from, or that it is a guess"),
        ({"draw": {}}, "m: alive.outage.scenario: nothing is drawn for 'rtt' of {rtt / 2}; none is known here"),
        ({"draw": {"grace": TABLE["draw"]["outage"]}}, "a parameter cannot be called 'grace'"),
        ({"draw": {"Outage": TABLE["draw"]["outage"]}}, "'Outage' is no name for a parameter"),
        ({"draw": {"outage": 5}}, "m: alive.outage.draw.outage: takes a table, got 5"),
        ({"draw": {"outage": {"distribution": "flat", "source": "x"}}}, "key 'distribution' does not know 'flat'"),
    ],
)
def test_a_mistake_in_its_table_is_told_with_key_and_value(changed: dict[str, Any], told: str) -> None:
    assert told in refused(TABLE | changed)


def test_what_is_no_table_is_told() -> None:
    assert refused(5) == "m: alive.outage: takes a table, got 5"


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('truth = "alive"', 'truth = "dead"', "key 'truth' is 'dead', but it stands under [alive]"),
        ('session = "kept"', 'session = "closed"', "key 'expect.session' is 'closed'; under [alive] it is 'kept'"),
        ('delay = "{rtt / 2}"', 'delay = "10ms"', "m: alive.outage.draw: nothing in the scenario uses 'rtt'"),
        ('"{rtt / 2}"', '"{rtt / loss}"', "m: alive.outage.scenario: {rtt / loss}: not a duration"),
        ('"{rtt / 2}"', '"{rt / 2}"', "nothing is drawn for 'rt' of {rt / 2}; did you mean 'rtt'?"),
        ('for = "{outage}"', 'for = "{outage} + grace"', "key 'step.for' is '"),
        ('for = "{outage}"', 'for = "{outage} + poll"', "so write it without 'grace' and 'poll'"),
        ('hold = "', 'hold = "grace + ', "key 'expect.hold' is 'grace + "),
        ('fault = "cut"', 'fault = "pause"', "m: alive.outage.scenario: it pauses the server's container, and a sweep"),
        (
            'fault = "cut"',
            'fault = "preempt"',
            "m: alive.outage.scenario: fault 'preempt' has the pod itself end the session",
        ),
        ('title = "t"', 'title = "t"\ndetector = "outq"', "key 'detector' is 'outq', but each is tried with all of"),
        ('title = "t"', 'title = "t"\ncommand = "reboot"', "m: alive.outage.scenario: unknown key 'command'"),
    ],
)
def test_a_scenario_that_cannot_be_meant_is_told(right: str, wrong: str, told: str) -> None:
    assert right in ALIVE
    assert told in refused(TABLE | {"scenario": ALIVE.replace(right, wrong)})


@pytest.mark.parametrize("name", ["Outage", "1st", "an outage", "../outage", "", "o" * 41])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    assert f"{name!r} is no name for a condition: small letters and digits" in refused(name=name)


def test_a_recorded_links_name_is_refused() -> None:
    assert "'trace-train' is what a recorded link would be called (--trace)" in refused(name="trace-train")
