"""A held watchdog keeps polling, logs the reap that it withholds, and carries it out once released."""

from __future__ import annotations

import json

import pytest

from halfopen.pod.detector_hold import HeldStall, Hold
from halfopen.pod.watchdog import Probe, StallRule
from tests.harness.pod.pods import eventually, pod
from tests.harness.pod.test_wedge import (
    MAJOR,
    WEDGED,
    client_that_never_reads,
    hold_watchdog,
    keepalive_waits_for_the_lock,
)

GRACE = 3.0
STUCK = Probe("ESTABLISHED", 1000, 5)
MOVED = Probe("ESTABLISHED", 1000, 6)


def rule(hold: Hold) -> HeldStall:
    return HeldStall(StallRule(0.0), GRACE, hold, "s1")


def held() -> Hold:
    hold = Hold()
    hold.is_respected = True
    hold.hold()
    return hold


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


def stalls(watched: HeldStall, *looks: tuple[Probe, float]) -> list[float]:
    return [watched.stalled_for(seen, now) for seen, now in looks]


def test_who_is_dead_is_spared_while_it_is_held_and_not_a_moment_longer(capsys: pytest.CaptureFixture[str]) -> None:
    hold = held()
    watched = rule(hold)
    assert stalls(watched, (STUCK, 0.0), (STUCK, 2.0), (STUCK, 3.0), (STUCK, 9.0)) == [0.0, 2.0, 0.0, 0.0]
    hold.release()
    assert watched.stalled_for(STUCK, 10.0) == 10.0
    assert events(capsys) == ["watchdog_held", "verdict_held", "watchdog_released"]


def test_who_comes_back_to_life_meanwhile_is_not_reaped_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    hold = held()
    watched = rule(hold)
    assert stalls(watched, (STUCK, 0.0), (STUCK, 4.0), (MOVED, 5.0)) == [0.0, 0.0, 0.0]
    hold.release()
    assert watched.stalled_for(MOVED, 6.0) == 1.0
    assert events(capsys) == ["watchdog_held", "verdict_held", "verdict_dropped", "watchdog_released"]


def test_what_is_not_held_is_as_it_was() -> None:
    assert stalls(rule(Hold()), (STUCK, 0.0), (STUCK, 2.0), (STUCK, 9.0)) == [0.0, 2.0, 9.0]


@pytest.mark.parametrize(("detector", "reason"), [("bytes-acked", "send_stall"), ("halfopen", "send_stall")])
def test_the_pods_watchdog_is_held_and_let_go_by_an_order(detector: str, reason: str) -> None:
    options = ("--control", "--detector", detector, "--grace", "1s", "--poll", "200ms", "--min-rate", "100MiB/s")
    with pod(*options, *WEDGED) as server:
        hold_watchdog(server)
        with client_that_never_reads(server.port):
            assert server.log_line("verdict_held")["reason"] == reason
            assert eventually(lambda: server.get("/sessions"))
            server.say("release-watchdog")
            reaped = server.log_line("dead_client_reaped")
            assert reaped["reason"] == reason
            assert reaped["stall_s"] >= 1
            eventually(lambda: not server.get("/sessions"))


@pytest.mark.parametrize("detector", ["tcp-user-timeout", "none"])
def test_what_is_no_watchdog_of_the_pods_says_that_it_cannot_be_held(detector: str) -> None:
    with pod("--control", "--detector", detector) as server:
        server.say("hold-watchdog")
        assert server.log_line("watchdog_cannot_be_held")


def test_the_keepalives_interval_can_be_set() -> None:
    if MAJOR < 15:
        return  # no keepalive for threads
    # A ping that still got out would wait for its pong instead.
    with pod("--ping-interval", "1s", "--detector", "none", *WEDGED) as server, client_that_never_reads(server.port):
        eventually(lambda: keepalive_waits_for_the_lock(server))
