"""Forecasts of each detector's action on a session, compared with the detectors' known actions (docs/findings.md)."""

from __future__ import annotations

import pytest

from halfopen.netns.census import RawSample
from halfopen.pod.forecast import Forecast
from halfopen.watch import watched_sessions
from halfopen.watch.tracks import Track
from tests.harness.watch.sightings import dark, shut, sighting

GRACE, POLL = 30.0, 2.0
JUDGES = watched_sessions.judges(GRACE, POLL, "bytes-acked")


def verdicts(seen: RawSample) -> dict[str, Forecast]:
    if not seen.outq:
        return watched_sessions.quiet(seen, None, JUDGES).verdicts()
    return watched_sessions.make(Track(seen, None, JUDGES.rules), None, JUDGES).verdicts()


def test_only_detectors_whose_verdicts_the_kernel_shows_are_forecast() -> None:
    assert list(verdicts(shut())) == ["bytes-acked", "halfopen", "outq", "tcp-user-timeout"]


@pytest.mark.parametrize("name", ["bytes-acked", "outq", "tcp-user-timeout"])
@pytest.mark.parametrize(("seen", "age"), [(shut(backoff=8, waited=1.0), 53.0), (shut(backoff=5, waited=2.0), 8.3)])
def test_a_stall_is_dead_a_grace_after_its_onset(name: str, seen: RawSample, age: float) -> None:
    verdict = verdicts(seen)[name]
    assert verdict.is_bound
    assert verdict.within == pytest.approx(GRACE - age, abs=0.1)


def test_ours_finds_an_application_that_reads_nothing_after_the_grace() -> None:
    verdict = verdicts(shut(backoff=8, waited=1.0))["halfopen"]
    assert verdict.why == "send stall"
    assert verdict.within == pytest.approx(GRACE - 53.0, abs=POLL)


def test_ours_survives_an_outage_and_finds_a_dark_path_by_the_first_retransmission_after_it() -> None:
    """They come at 0.204 s x (2^k - 1) of the stall: the first that is 1.5 graces after the one before is at 52 s."""
    verdict = verdicts(dark(retransmits=7, waited=6.0))["halfopen"]
    assert verdict.why == "unreachable"
    assert verdict.within == pytest.approx(0.204 * (2**8 - 1) + 1 - (0.204 * (2**7 - 1) + 6), abs=POLL)


def test_ours_takes_a_host_that_went_after_it_shut_its_window_for_unreachable() -> None:
    verdict = verdicts(shut(backoff=9, waited=80.0, probes=6, last_ack_recv=170_000))["halfopen"]
    assert verdict.why == "unreachable"
    assert verdict.within is not None


def test_with_nothing_queued_no_rule_of_the_queue_finds_anything_and_ours_is_not_guessed() -> None:
    assert {name: verdict.brief for name, verdict in verdicts(sighting()).items()} == {
        "bytes-acked": "spared", "outq": "spared", "tcp-user-timeout": "spared",
    }  # fmt: skip


@pytest.mark.parametrize("outq", [5, 0])
def test_a_detector_that_polls_the_state_finds_a_client_that_closed_at_once(outq: int) -> None:
    found = verdicts(sighting(outq=outq, unacked=bool(outq), state="CLOSE_WAIT"))
    assert [name for name, verdict in found.items() if verdict.within == 0.0] == ["bytes-acked", "halfopen", "outq"]


@pytest.mark.parametrize(
    ("verdict", "brief", "whole"),
    [
        (Forecast("why", 12.3, True), "dead in ≤12s", "dead in at most 12s: why"),
        (Forecast("why", 2.34), "dead in 2.3s", "dead in 2.3s: why"),
        (Forecast("why", -51.4, True), "dead since ≥51s", "dead since at least 51s: why"),
        (Forecast("why", -780.0), "dead since 13min", "dead since 13min: why"),
        (Forecast("why"), "spared", "never: why"),
    ],
)
def test_a_verdict_in_a_cell_and_in_a_line(verdict: Forecast, brief: str, whole: str) -> None:
    assert (verdict.brief, str(verdict)) == (brief, whole)
