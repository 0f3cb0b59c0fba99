"""The pod on asyncio: what replaces the wedge there, and its detectors, over real sockets."""

from __future__ import annotations

from functools import partial

import pytest

from halfopen import plugins
from halfopen.pod import detectors
from tests.harness.pod import pods
from tests.harness.pod.pods import PodProcess, eventually
from tests.harness.pod.test_wedge import client_that_never_reads, hold_watchdog, in_library, stack

pod = partial(pods.pod, "--pod-api", "asyncio")
#: A stream that fills every buffer at once, and a watchdog that is soon done.
FULL = ("--slice-size", "4MiB", "--slice-interval", "10ms")
SOON = ("--grace", "1s", "--poll", "200ms")


def waits_in_drain(server: PodProcess, function: str) -> bool:
    """True if a task waits in the library's drain() on behalf of this function."""
    return any(
        frames and frames[0].startswith("drain (") and in_library(frames, function)
        for frames in server.get("/threads").values()
    )


def test_the_runner_waits_in_drain_and_the_pod_says_it_is_healthy() -> None:
    with pod("--detector", "none", *FULL) as server, client_that_never_reads(server.port):
        eventually(lambda: waits_in_drain(server, "send"))
        assert server.get("/pool") == {"lockHeld": True}
        assert server.get("/healthz") == {"status": "healthy"}


def test_the_keepalive_waits_in_drain_before_its_timeout_begins() -> None:
    with pod("--detector", "tests.planted.impatient_ping", *FULL) as server, client_that_never_reads(server.port):
        eventually(lambda: waits_in_drain(server, "keepalive") and waits_in_drain(server, "send"))


@pytest.mark.parametrize("detector", ["halfopen", "bytes-acked", "outq"])
@pytest.mark.parametrize("reap", ["shutdown", "reset"])
def test_a_watchdog_frees_the_runner_the_seat_and_the_registry(detector: str, reap: str) -> None:
    options = ("--detector", detector, "--reap", reap, *SOON, *FULL)
    with pod(*options) as server, client_that_never_reads(server.port):
        reaped = server.log_line("dead_client_reaped")
        assert reaped["reason"] == "send_stall"
        assert reaped["backlog_bytes"] > 0
        assert reaped["stall_s"] >= 1 - 1e-3
        assert server.log_line("session_closed")["reason"] == "send_stall"
        eventually(lambda: not stack(server, "runner-") and not stack(server, "watchdog-"))
        assert server.get("/sessions") == []


@pytest.mark.parametrize("detector", ["halfopen", "bytes-acked"])
def test_a_held_watchdog_ends_nobody_until_it_is_released(detector: str) -> None:
    with pod("--detector", detector, "--control", *SOON, *FULL) as server:
        hold_watchdog(server)
        with client_that_never_reads(server.port):
            assert server.log_line("verdict_held")["reason"] == "send_stall"
            assert len(server.get("/sessions")) == 1
            server.say("release-watchdog")
            assert server.log_line("dead_client_reaped")["reason"] == "send_stall"


def test_every_detector_is_there_or_says_in_a_sentence_why_it_cannot_be() -> None:
    reasons = {name: detectors.hindrance(plugins.load(detectors, name), "asyncio") for name in plugins.names(detectors)}
    assert {name for name, reason in reasons.items() if reason} == {"so-sndtimeo"}
    for name, reason in reasons.items():
        assert detectors.hindrance(plugins.load(detectors, name), "sync") is None
        if reason is None:
            with pod("--detector", name) as server:
                assert server.get("/sessions") == []
