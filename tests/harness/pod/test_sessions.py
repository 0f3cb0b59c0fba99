"""A session's reasons to end: the first that is specific counts."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from halfopen.liveness.death import Death
from halfopen.pod.sessions import PodSession
from halfopen.pod.stream import Stream

CLOSED = Death("peer_closed", 0, 2.0, "FIN_WAIT1")


def session() -> PodSession:
    connection: Any = SimpleNamespace(socket=None)
    return PodSession("s1", "me", connection, Stream(), math.inf)


def logged(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["event"], line["reason"]) for line in lines]


def test_a_watchdogs_verdict_is_logged_and_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    dead = session()
    dead.declare_dead(CLOSED)
    dead.log_end()
    assert logged(capsys) == [("dead_client_reaped", "peer_closed"), ("session_closed", "peer_closed")]


def test_a_watchdog_that_sees_the_end_of_a_preempted_session_is_not_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The pod ends the socket itself, and the watchdog may poll it before the runner has left."""
    taken = session()
    taken.preempt()
    taken.declare_dead(CLOSED)
    taken.log_end()
    assert logged(capsys) == [("session_closed", "preempted")]
