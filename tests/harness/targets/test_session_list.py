"""A server's own list of sessions, in any form: where it is, and the client of each session."""

from __future__ import annotations

from typing import Any

import pytest

from halfopen.netns.sockets import Address
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets import session_list
from halfopen.targets.base import Caller
from halfopen.targets.session_list import NoListError

ME = Caller("me", (Address("198.18.0.1", 40000),))
BEHIND_AN_EDGE = Caller("me", (Address("198.18.1.1", 0), Address("198.18.0.1", 40000)))


@pytest.mark.parametrize(
    ("answer", "pointer"),
    [([1, 2], ""), ({"data": {"list": [1, 2]}}, "/data/list"), ([{"a/b~c": [1, 2]}], "/0/a~1b~0c")],
)
def test_a_pointer_leads_to_the_list(answer: Any, pointer: str) -> None:
    spec = TargetSpec(server="x", sessions="/s", sessions_pointer=pointer)
    assert session_list.sessions(answer, spec) == [1, 2]


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ("", "GET /s is no JSON array but dict"),
        ("/data", "GET /s at '/data' is no JSON array but str"),
        ("/data/list", "GET /s at '/data/list': there is no 'list' in the answer"),
        ("/none", "GET /s at '/none': there is no 'none' in the answer"),
    ],
)
def test_what_is_no_list_is_told_with_what_it_is(pointer: str, said: str) -> None:
    with pytest.raises(NoListError) as refused:
        session_list.sessions({"data": "x"}, TargetSpec(server="x", sessions="/s", sessions_pointer=pointer))
    assert str(refused.value) == said


def test_a_field_that_no_session_has_is_told() -> None:
    spec = TargetSpec(server="x", sessions="/s", sessions_field="remote")
    with pytest.raises(NoListError) as refused:
        session_list.sessions([{"peer": 1}], spec)
    assert str(refused.value) == "GET /s: no session in it has the field 'remote' (--sessions-field)"
    assert session_list.sessions([], spec) == []
    assert session_list.sessions([{"peer": 1}, {"remote": 2}], spec) == [{"peer": 1}, {"remote": 2}]


def test_without_a_field_any_session_is_the_clients() -> None:
    assert session_list.lists([{}], None, ME)
    assert not session_list.lists([], None, ME)


@pytest.mark.parametrize(
    "peer", ["198.18.0.1:40000", "198.18.0.1", 40000, "40000", ["198.18.0.1", 40000], ["198.18.0.1", 40000, 0, 0]]
)
def test_a_field_names_its_client_as_servers_write_addresses(peer: object) -> None:
    assert session_list.lists([{"peer": "other"}, {"peer": peer}], "peer", ME)
    assert session_list.lists([{"a": {"peer": peer}}], "/a/peer", ME)


@pytest.mark.parametrize(
    "peer", ["198.18.0.1:40001", "198.18.0.11", 4000, ["198.18.0.1", 40001], ["198.18.0.2", 40000], [], None, {}]
)
def test_another_clients_session_is_not_this_ones(peer: object) -> None:
    assert not session_list.lists([{"peer": peer}], "peer", ME)


def test_a_session_without_the_field_is_nobodys() -> None:
    assert not session_list.lists([{"id": 1}, 7, None], "peer", ME)


@pytest.mark.parametrize("peer", ["198.18.1.1", "198.18.1.1:5", ["198.18.1.1", 5], "198.18.0.1", "198.18.0.1:40000"])
def test_behind_an_edge_it_is_the_edges_address_or_the_clients(peer: object) -> None:
    assert session_list.lists([{"peer": peer}], "peer", BEHIND_AN_EDGE)
