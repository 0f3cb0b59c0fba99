"""Forecasts of each detector's action on a session, compared with the detectors' known actions (docs/findings.md)."""

from __future__ import annotations

import pytest

from halfopen import plugins
from halfopen.netns.census import RawSample
from halfopen.pod import detectors
from halfopen.pod.liveness.reading import Reading
from halfopen.watch import forecast
from halfopen.watch.forecast import DETECTORS, Forecast, OngoingStall
from halfopen.watch.tracks import Track
from tests.harness.watch.sightings import dark, shut, sighting

GRACE, POLL = 30.0, 2.0


def stall(seen: RawSample) -> OngoingStall:
    track, info = Track(seen, None), seen.sample.info
    assert info is not None
    return OngoingStall(seen, info, Reading.of(seen.info), track.stuck, track.is_bound, track.stalled())


def said(name: str, seen: RawSample) -> Forecast:
    return forecast.of(name, stall(seen), GRACE, POLL)


def test_every_detector_of_the_pod_has_a_forecast() -> None:
    assert list(DETECTORS) == plugins.names(detectors)


@pytest.mark.parametrize("name", ["bytes-acked", "outq", "tcp-user-timeout"])
@pytest.mark.parametrize(("seen", "age"), [(shut(backoff=8, waited=1.0), 53.0), (shut(backoff=5, waited=2.0), 8.3)])
def test_a_stall_is_dead_a_grace_after_its_onset(name: str, seen: RawSample, age: float) -> None:
    found = said(name, seen)
    assert (found.word, found.is_bound) == ("dead", True)
    assert found.within == pytest.approx(GRACE - age, abs=0.1)


def test_ours_finds_an_application_that_reads_nothing_after_the_grace() -> None:
    found = said("halfopen", shut(backoff=8, waited=1.0))
    assert (found.word, found.why) == ("dead", "send stall")
    assert found.within == pytest.approx(GRACE - 53.0, abs=POLL)


def test_ours_survives_an_outage_and_finds_a_dark_path_by_the_first_retransmission_after_it() -> None:
    """They come at 0.204 s x (2^k - 1) of the stall: the first that is 1.5 graces after the one before is at 52 s."""
    found = said("halfopen", dark(retransmits=7, waited=6.0))
    assert (found.word, found.why) == ("dead", "unreachable")
    assert found.within == pytest.approx(0.204 * (2**8 - 1) + 1 - (0.204 * (2**7 - 1) + 6), abs=POLL)


def test_ours_takes_a_host_that_went_after_it_shut_its_window_for_unreachable() -> None:
    found = said("halfopen", shut(backoff=9, waited=80.0, probes=6, last_ack_recv=170_000))
    assert (found.word, found.why) == ("dead", "unreachable")


def test_what_nobody_sees_from_outside_is_not_guessed() -> None:
    for name in ("ack-stall", "ping-timeout", "ping-timeout-90", "so-sndtimeo"):
        assert said(name, shut()).word == "unseen"


def test_keepalive_and_nobody_never_find_it() -> None:
    for name in ("so-keepalive", "none"):
        assert said(name, shut()).word == "spared"


def test_with_nothing_queued_no_rule_of_the_queue_says_anything() -> None:
    words = {name: forecast.quiet(name, "ESTABLISHED").word for name in DETECTORS}
    assert {name for name, word in words.items() if word == "spared"} == {
        "bytes-acked", "none", "outq", "so-sndtimeo", "tcp-user-timeout",
    }  # fmt: skip
    assert "dead" not in words.values()


@pytest.mark.parametrize("queued", [True, False])
def test_who_looks_at_the_state_finds_a_client_that_closed_at_once(queued: bool) -> None:
    for name in DETECTORS:
        seen = sighting(outq=5, unacked=1, state="CLOSE_WAIT")
        found = said(name, seen) if queued else forecast.quiet(name, "CLOSE_WAIT")
        expected = name in {"ack-stall", "bytes-acked", "halfopen", "outq"}
        assert (found.within == 0.0) is expected, name


@pytest.mark.parametrize(
    ("found", "brief", "whole"),
    [
        (Forecast("dead", "why", 12.3, True), "dead in ≤12s", "dead in at most 12s: why"),
        (Forecast("dead", "why", 2.34), "dead in 2.3s", "dead in 2.3s: why"),
        (Forecast("dead", "why", -51.4, True), "dead since ≥51s", "dead since at least 51s: why"),
        (Forecast("dead", "why", -780.0), "dead since 13min", "dead since 13min: why"),
        (Forecast("spared", "why"), "spared", "never: why"),
        (Forecast("unseen", "why"), "not seen", "not to be seen: why"),
    ],
)
def test_a_verdict_in_a_cell_and_in_a_line(found: Forecast, brief: str, whole: str) -> None:
    assert (found.brief, str(found)) == (brief, whole)
