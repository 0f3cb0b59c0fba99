"""Scenarios with several clients, as they are written."""

from __future__ import annotations

import pytest

from halfopen.errors import InputError
from halfopen.scenario.scenario_file import parse
from halfopen.scenario.spec import SUBJECT, Scenario

HEAD = """
title = "A title"
story = "A story."
truth = "dead"
"""
TAIL = """
[[step]]
at = "5s"
fault = "freeze"

[expect]
session = "reaped"
"""
BYSTANDERS = """
client = "draining"
[link]
delay = "10ms"
[bystanders]
count = 3
behaviour = "trickling"
rate = "8KiB/s"
[bystanders.link]
rate = "1Mbit"
[bystanders.expect]
longest_gap = "2s"
"""
NAMED = """
[link]
delay = "10ms"
[[client]]
behaviour = "draining"
[[client]]
name = "returning"
at = "grace / 2"
host = "subject"
user = "subject"
query = "preempt=1"
[client.expect]
admitted_within = "1s"
[[client]]
name = "next"
at = "end"
[client.expect]
session = "refused"
close_code = 1013
"""


def scenario(clients: str, tail: str = TAIL) -> Scenario:
    return parse(HEAD + clients + tail, name="x", suite="y", where="x.toml")


def test_bystanders_are_alike_and_nothing_is_done_to_them() -> None:
    several = scenario(BYSTANDERS)
    part = several.part("bystander-2")

    assert [other.name for other in several.others] == ["bystander-1", "bystander-2", "bystander-3"]
    assert all(other.comes_first for other in several.others)
    assert (part.truth, part.client.behaviour, part.steps) == ("alive", "trickling", ())
    assert (part.link.to_client.rate, part.expect.longest_gap) == (1e6, "2s")
    assert len(several.part(SUBJECT).steps) == 1
    assert several.bystanders == ["bystander-1", "bystander-2", "bystander-3"]


def test_each_named_client_has_a_moment_a_host_a_user_and_an_expectation() -> None:
    returning, last = scenario(NAMED).others

    assert (returning.at, returning.host, returning.user, returning.query) == (
        "grace / 2",
        "subject",
        "subject",
        "preempt=1",
    )
    assert returning.link.to_client.delay == scenario(NAMED).link.to_client.delay
    assert (returning.expect.session, returning.expect.admitted_within) == ("kept", "1s")
    assert (last.at_the_end, last.at, last.user) == (True, None, "next")
    assert (last.expect.session, last.expect.close_code) == ("refused", 1013)


def test_a_step_says_whom_it_strikes() -> None:
    several = scenario(BYSTANDERS, TAIL + '[[step]]\nat = "9s"\nfault = "vanish"\non = "bystanders"\n')

    assert [step.fault for step in several.part(SUBJECT).steps] == ["freeze"]
    assert [step.fault for step in several.part("bystander-1").steps] == ["vanish"]
    assert several.bystanders == []


def test_the_pod_has_a_seat_for_each_client_that_is_there_at_the_start() -> None:
    assert scenario(BYSTANDERS).pod_at_start.seats == 4
    assert scenario(NAMED).pod_at_start.seats is None
    assert scenario('client = "acking"').pod_at_start.seats is None
    assert scenario('client = "acking"\n[pod]\nseats = 3\n').pod_at_start.seats == 3


@pytest.mark.parametrize(
    ("clients", "tail", "complaint"),
    [
        (BYSTANDERS, TAIL + '[[step]]\nat = "9s"\nfault = "vanish"\non = "bystander-4"\n', "step 2: key 'on'"),
        (BYSTANDERS.replace("count = 3", "count = 0"), TAIL, "bystanders: key 'count' is 0"),
        (BYSTANDERS.replace('rate = "8', 'rato = "8'), TAIL, "x.toml: bystanders: client: unknown key 'rato'"),
        (NAMED.replace('"returning"', '"subject"'), TAIL, "client 2: key 'name' is 'subject'"),
        (NAMED.replace('host = "subject"', 'host = "next"'), TAIL, "client 2: key 'host' is 'next'"),
        (NAMED.replace('"grace / 2"', '"soon"'), TAIL, "client 2: at: not a duration"),
        (NAMED.replace('query = "preempt=1"', 'link = { delay = "1ms" }'), TAIL, "exclude each other"),
        (NAMED.replace("admitted_within", "admited_within"), TAIL, "client 2: expect: unknown key"),
        (NAMED.replace('session = "refused"', "status = 503"), TAIL, "key 'expect.status' is 503"),
        (NAMED.replace('behaviour = "draining"', 'behaviour = "draining"\nname = "first"'), TAIL, "'client.name'"),
        ("client = []", TAIL, "key 'client' is an empty list"),
    ],
)
def test_a_mistake_is_named_with_its_place(clients: str, tail: str, complaint: str) -> None:
    with pytest.raises(InputError) as refusal:
        scenario(clients, tail)
    assert complaint in str(refusal.value)
