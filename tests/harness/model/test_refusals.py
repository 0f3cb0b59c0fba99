"""A client that gets no session: the server's fault is a failure, the network's proves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from halfopen.scenario import suites
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.lines import Part, event, line

(PAUSED,) = suites.find(["pod_5090/paused"])


def verdict(*parts: Part) -> Verdict:
    return judge(PAUSED, line(*parts), Timing(30, 2))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("refused", {"why": "HTTP 500", "status": 500}, "HTTP 500"),
        ("refused", {"why": "HTTP 404", "status": 404}, "HTTP 404; does it serve WebSocket at another --path?"),
        (
            "refused",
            {"why": "HTTP 401", "status": 401},
            "HTTP 401; does it want a --header, or a token in its path (--path '/?token=...')?",
        ),
        (
            "refused",
            {"why": "HTTP 302", "status": 302, "location": "/login"},
            "HTTP 302; it redirects to /login: give that as --path, or log in with a --header",
        ),
        ("refused", {"why": "connection reset by peer", "status": None}, "connection reset by peer"),
        ("unanswered", {"within": 30.0, "delivered": True}, "the server did not complete the handshake within 30s"),
        ("unreachable", {"why": "connection refused", "how": "ConnectionRefusedError"}, "connection refused"),
    ],
)
def test_a_server_that_lets_nobody_in_fails(name: str, data: dict[str, Any], says: str) -> None:
    seen = verdict(event(0, "client", "connected"), event(1, "client", name, **data))
    assert (seen.word, seen.why) == ("failed", f"no session could be opened: {says}")
    assert not seen.found.was


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("unanswered", {"within": 30.0, "delivered": False}, "the link did not carry the handshake within 30s"),
        ("unreachable", {"why": "timed out", "how": "TimeoutError"}, "timed out"),
    ],
)
def test_a_network_that_lets_nobody_through_proves_nothing(name: str, data: dict[str, Any], says: str) -> None:
    seen = verdict(event(1, "client", name, **data))
    assert (seen.word, seen.why) == ("inconclusive", f"no session could be opened: {says}")


def test_a_server_that_ends_with_its_first_client_is_told_by_its_end() -> None:
    refused = event(1, "client", "refused", why="connection reset by peer", status=None)
    seen = verdict(refused, event(1.1, "target", "exited", code=3))
    assert (seen.word, seen.why) == ("failed", "the server ended by itself with exit code 3 at 1.1s")


def test_a_rival_that_is_let_in_by_nobody_is_not_the_client() -> None:
    seen = verdict(event(0, "client", "opened"), event(1, "rival", "refused", why="HTTP 503", status=503))
    assert seen.why == "the server's socket was never seen open"


def test_a_session_that_was_reset_before_its_socket_was_seen_was_one_all_the_same() -> None:
    seen = verdict(
        event(0, "client", "opened"), event(0.01, "client", "ended", how="ConnectionResetError", text="reset")
    )
    assert (seen.word, seen.klass, seen.found.was) == ("failed", "false_reap", True)


def test_a_client_that_left_before_its_socket_was_seen_was_not_thrown_out() -> None:
    left = [event(1, "client", "closing", code=1000), event(1.1, "client", "ended", how="closed")]
    assert verdict(event(0, "client", "opened"), left).klass == "closed"
