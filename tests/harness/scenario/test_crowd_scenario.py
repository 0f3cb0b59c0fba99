"""The table of a crowd, as it is written."""

from __future__ import annotations

import pytest

from halfopen.errors import InputError
from halfopen.scenario.scenario_file import parse
from halfopen.scenario.spec import CROWD, SUBJECT, Scenario

TEXT = """
title = "A title"
story = "A story."
truth = "alive"
client = "acking"
{crowd}
[[step]]
at = "5s"
fault = "{fault}"
on = "{on}"
[expect]
session = "kept"
"""
CROWDED = """
[crowd]
count = 7
behaviour = "trickling"
rate = "8KiB/s"
patience = "45s"
reconnect = { base = "2s", most = "16s", jitter = "50%" }
[crowd.link]
delay = "10ms"
[crowd.expect]
all_served_within = "grace / 2"
most_reaps = 0
"""


def scenario(crowd: str = CROWDED, fault: str = "cut", on: str = CROWD) -> Scenario:
    return parse(TEXT.format(crowd=crowd, fault=fault, on=on), name="x", suite="y", where="x.toml")


def test_a_crowd_has_a_behaviour_a_link_and_a_way_to_come_back() -> None:
    found = scenario().crowd
    assert found is not None
    assert (found.count, found.client.behaviour, found.client.options) == (7, "trickling", {"rate": "8KiB/s"})
    assert found.reconnect is not None
    retry = found.reconnect.retry
    assert (retry.base, retry.most, retry.jitter, found.patience) == (2.0, 16.0, 0.5, 45.0)
    assert found.link.to_client.delay == 0.01
    assert found.expect.most_reaps == 0


def test_by_default_fifty_healthy_clients_stay_away() -> None:
    found = scenario("[crowd]\n").crowd
    assert found is not None
    assert (found.count, found.client.behaviour, found.reconnect, found.patience) == (50, "acking", None, None)


def test_a_crowd_is_company_and_has_seats_also_for_those_that_come_back_early() -> None:
    crowded = scenario()
    assert crowded.has_company
    assert crowded.pod_at_start.seats == 1 + 2 * 7
    assert crowded.netem_fields == ["delay"]
    assert scenario("", on=SUBJECT).pod_at_start.seats is None


def test_a_step_on_the_crowd_is_none_on_the_subject_or_on_bystanders() -> None:
    crowded = scenario(f"[bystanders]\n{CROWDED}")
    assert not crowded.part(SUBJECT).steps
    assert not crowded.part("bystander-1").steps
    assert crowded.bystanders == ["bystander-1"]
    assert crowded.part(SUBJECT).crowd is None


@pytest.mark.parametrize(
    ("crowd", "fault", "on", "problem"),
    [
        ("", "cut", CROWD, "key 'on' is 'crowd'; clients here: subject"),
        (CROWDED, "freeze", CROWD, "key 'fault' is 'freeze'; a crowd is struck by its link: cut,"),
        ("[crowd]\ncount = 0", "cut", CROWD, "crowd: key 'count' is 0; it must be from 1 to 2000"),
        ("[crowd]\nrate = '8KiB/s'", "cut", CROWD, "crowd: client: unknown key 'rate'"),
        ("[crowd]\nbehaviour = 'dancing'", "cut", CROWD, "unknown client 'dancing'"),
        ("[crowd]\nreconnect = { base = '0s' }", "cut", CROWD, "base of 0s is out of range"),
        ("[crowd]\nreconnect = { base = '9s', most = '3s' }", "cut", CROWD, "most of 3s is out of range"),
        ("[crowd]\nreconnect = { jitter = 0.5 }", "cut", CROWD, 'write "50%"'),
        ("[crowd.expect]\nall_served = '5s'", "cut", CROWD, "unknown key 'expect.all_served'"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(crowd: str, fault: str, on: str, problem: str) -> None:
    with pytest.raises(InputError) as refused:
        scenario(crowd, fault, on)
    assert str(refused.value).startswith("x.toml: ")
    assert problem in str(refused.value)


def test_no_client_may_be_called_as_the_crowd_is() -> None:
    with pytest.raises(InputError, match="key 'name' is 'crowd'"):
        parse(
            TEXT.format(crowd="", fault="cut", on=SUBJECT).replace(
                'client = "acking"', '[[client]]\nbehaviour = "acking"\n[[client]]\nname = "crowd"'
            ),
            name="x",
            suite="y",
            where="x.toml",
        )
