"""A run's words on the page: those of the results, without missing ones."""

from __future__ import annotations

from typing import Any

import pytest

from halfopen.report.entries import Entry, Hop, entry, hops, runs_of
from tests.harness.done import missed
from tests.harness.report import made


def shown(**changes: object) -> Entry:
    (run,) = runs_of({"runs": [made.table([missed()])["runs"][0] | changes]})
    return entry(run, 30, ["freeze"])


def test_it_says_what_results_json_says() -> None:
    one, run = shown(), made.table([missed()])["runs"][0]
    assert one.run == run
    assert (one.label, one.row.session, one.row.stuck) == (run["label"], "kept", "456 kB")
    assert one.shown[:2] == ("✗", "failed")


def test_the_reason_is_told_of_sessions_that_ended() -> None:
    assert shown(outcome="reaped", reason="send_stall").row.reason == "send_stall"
    assert shown(outcome="kept", reason="send_stall").row.reason == ""


def test_a_known_failure_is_no_failure() -> None:
    assert (shown(known=True).standing, shown(known=True).shown.words) == ("known", "known failure")
    assert shown(known=False).standing == "failed"


@pytest.mark.parametrize(
    ("where", "struck"), [({"cut": "client"}, 0), ({"cut": "link"}, 1), ({"cut": "server"}, 2), ({}, 0)]
)
def test_a_fault_is_drawn_where_it_struck(where: dict[str, str], struck: int) -> None:
    assert [bool(hop.struck) for hop in hops({"struck": where}, ["cut"])] == [place == struck for place in range(3)]


def test_a_proxy_is_a_host_between_and_the_clients_link_is_what_goes_dark() -> None:
    topology = [{"host": "client"}, {"link": "20ms"}, {"host": "nginx"}, {"link": "unimpaired"}, {"host": "server"}]
    assert hops({"topology": topology, "struck": {"vanish": "link"}}, ["vanish"]) == [
        Hop(False, "client"),
        Hop(True, "20ms", ("vanish",)),
        Hop(False, "nginx"),
        Hop(True, ""),
        Hop(False, "server"),
    ]


def test_results_of_an_older_version_are_shown_with_what_they_have() -> None:
    bare: dict[str, Any] = {"scenario": "frozen", "detector": "none", "repeat": 2, "verdict": "passed"}
    (alone,) = runs_of({"runs": [bare]})
    (among_others,) = runs_of({"runs": [bare], "detectors": {}})
    assert entry(alone, 30, ()).label == "frozen-2"
    assert entry(among_others, 30, ()).label == "none/frozen-2"
