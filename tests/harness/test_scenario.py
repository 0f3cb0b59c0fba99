from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.scenario import load, parse

GOOD = """
title = "A title"
story = "A story."
truth = "dead"

[client]
behaviour = "trickling"
rate = "8KiB/s"

[link]
rate = "1Mbit"
to_server = { rate = "64kbit" }

[[step]]
at = "grace / 2"
fault = "freeze"
for = "10s"

[expect]
session = "reaped"
reason = "send_stall"
within = "grace + poll + 1s"
"""


def parsed(text: str = GOOD) -> object:
    return parse(text, name="x", suite="y", where="x.toml")


def test_a_scenario_says_who_does_what_when_and_what_must_come_of_it() -> None:
    scenario = parse(GOOD, name="x", suite="y", where="x.toml")

    assert scenario.client.behaviour == "trickling"
    assert scenario.client.options == {"rate": "8KiB/s"}
    assert scenario.link.to_client.rate == 1e6
    assert scenario.link.to_server.rate == 64e3
    assert [(step.fault, step.at, step.lasting) for step in scenario.steps] == [("freeze", "grace / 2", "10s")]
    assert scenario.expect.hold == "2.6 * grace"


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('title = "A title"', 'titel = "A title"', "x.toml: unknown key 'titel'; did you mean 'title'?"),
        ('truth = "dead"', 'truth = "ded"', "x.toml: key 'truth' does not know 'ded'; did you mean 'dead'?"),
        ('truth = "dead"', "", "x.toml: key 'truth' is missing"),
        ('title = "A title"', "title = 7", "x.toml: key 'title' takes text in quotes, got 7"),
        ('behaviour = "trickling"', "", "x.toml: key 'client.behaviour' is missing"),
        ('"trickling"', '"trickle"', "x.toml: unknown client 'trickle'; did you mean 'trickling'?"),
        ('rate = "8KiB/s"', "rate = 8", "x.toml: client: key 'rate': a rate of bytes needs a unit: got 8"),
        ('rate = "8KiB/s"', 'speed = "8KiB/s"', "x.toml: client: unknown key 'speed'"),
        ('rate = "1Mbit"', 'rate = "1"', "x.toml: link: key 'rate': a link's rate needs a unit: got '1'"),
        ('rate = "1Mbit"', 'delay = "20"', "x.toml: link: key 'delay': a duration needs a unit: got '20'"),
        ('rate = "1Mbit"', 'jitter = "5ms"', "x.toml: link: jitter of 5ms needs a delay to vary"),
        ('rate = "1Mbit"', 'loss = "120%"', "x.toml: link: key 'loss': a share is at most 100%: got '120%'"),
        ('{ rate = "64kbit" }', '"64kbit"', "x.toml: key 'link.to_server' takes a table, got '64kbit'"),
        ('at = "grace / 2"', "at = 5", "x.toml: step 1: key 'at': a duration needs a unit: got 5, write \"5s\""),
        ('at = "grace / 2"', "", "x.toml: step 1: key 'at' is missing"),
        ('"freeze"', '"freez"', "x.toml: step 1: unknown fault 'freez'; did you mean 'freeze'?"),
        ('for = "10s"', 'depth = "10s"', "x.toml: step 1: unknown key 'depth'"),
        ('"reaped"', '"kept"', "x.toml: key 'expect.within' is 'grace + poll + 1s', but a session that is to be kept"),
        ("within", "wihtin", "x.toml: unknown key 'expect.wihtin'; did you mean 'within'?"),
        ("+ 1s", "+ 1", "x.toml: key 'expect.within': a bare number cannot be added to a duration"),
        ("[expect]", "[expect", "x.toml: not TOML: "),
    ],
)
def test_every_mistake_in_a_file_is_told_in_one_line(change: str, to: str, says: str) -> None:
    assert change in GOOD
    with pytest.raises(InputError) as caught:
        parsed(GOOD.replace(change, to, 1))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such scenario file: .*nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_a_folder_is_no_scenario_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read scenario file"):
        load(tmp_path)
