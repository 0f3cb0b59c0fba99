"""Bounds on a stall's length from one hand-made reading. For real kernels see test_least_stall_real.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.netns.census import RETRANSMIT
from halfopen.watch.tracks import least_stall
from tests.harness.watch.sightings import dark, shut, sighting


@pytest.mark.parametrize(("backoff", "waited"), [(0, 0.1), (5, 3.0), (8, 40.0)])
def test_a_shut_window_is_as_old_as_the_doublings_of_its_probes(backoff: int, waited: float) -> None:
    assert least_stall(shut(backoff=backoff, waited=waited)) == pytest.approx(
        0.204 * (2**backoff - 1) + waited, abs=2e-3
    )


def test_probes_are_no_further_apart_than_two_minutes() -> None:
    seen = shut(backoff=12, expires=60.0, last_data_sent=10**6, rwnd_limited=10**9)
    assert least_stall(seen) == pytest.approx(0.204 * (2**10 - 1) + 2 * 120 + 60, abs=0.2)


@pytest.mark.parametrize("retransmits", [1, 4, 7])
def test_a_dark_path_is_as_old_as_the_doublings_of_its_retransmissions(retransmits: int) -> None:
    seen = dark(retransmits=retransmits, waited=0.1)
    assert least_stall(seen) == pytest.approx(0.204 * (2**retransmits - 1) + 0.1, abs=2e-3)


def test_the_wait_before_the_first_send_is_no_stall() -> None:
    """An hour of silence, then one packet a moment ago: ``last_ack_recv`` is an hour."""
    hour = 3_600_000
    assert least_stall(sighting(outq=100, unacked=1, last_ack_recv=hour, last_data_sent=3, timer=RETRANSMIT)) == 0
    assert least_stall(dark(retransmits=1, waited=0.2, last_ack_recv=hour)) == pytest.approx(0.404, abs=2e-3)


def test_a_window_that_was_shut_for_an_hour_before_anything_was_queued_is_no_stall_yet() -> None:
    hour = 3_600_000
    seen = shut(backoff=0, waited=0.05, last_data_sent=hour, rwnd_limited=50_000)
    assert least_stall(seen) == pytest.approx(0.05, abs=2e-3)


@given(last_data_sent=st.integers(0, 10**6), rwnd_limited=st.integers(0, 10**9), backoff=st.integers(0, 15))
def test_old_doublings_do_not_make_a_session_stuck_that_was_sent_something(
    last_data_sent: int, rwnd_limited: int, backoff: int
) -> None:
    seen = shut(backoff=backoff, expires=0.1, last_data_sent=last_data_sent, rwnd_limited=rwnd_limited)
    assert least_stall(seen) <= min(last_data_sent / 1e3, rwnd_limited / 1e6)


@given(last_ack_recv=st.integers(0, 10**6), backoff=st.integers(0, 15))
def test_nor_one_of_which_packets_arrive_beyond_a_gap(last_ack_recv: int, backoff: int) -> None:
    seen = sighting(outq=1, unacked=2, sacked=1, retransmits=backoff, backoff=backoff, last_ack_recv=last_ack_recv)
    assert least_stall(seen) <= last_ack_recv / 1e3


def test_nor_one_that_moved_since_without_telling_a_round_trip() -> None:
    """Without timestamps an acknowledged retransmission gives no round trip (Karn), and the timer stays as it is."""
    assert least_stall(sighting(outq=1, unacked=1, backoff=6, retransmits=0, options=0, rto=13_000_000)) == 0


def test_a_window_that_shrank_below_what_was_sent_is_a_stall_although_everything_is_answered() -> None:
    """The kernel does not count its retransmissions in that case (tcp_retransmit_timer: "dastardly shrinks window")."""
    seen = dark(retransmits=4, waited=1.0, snd_wnd=0, last_ack_recv=1000)
    assert least_stall(seen) == pytest.approx(0.204 * 15 + 1, abs=2e-3)


@pytest.mark.parametrize("seen", [sighting(), sighting(outq=5, unacked=1), shut(outq=0), shut(timer=RETRANSMIT)])
def test_where_the_kernel_waits_for_nothing_there_is_no_stall(seen: object) -> None:
    assert least_stall(seen) == 0  # type: ignore[arg-type]
