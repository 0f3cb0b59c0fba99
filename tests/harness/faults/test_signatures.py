"""Evidence of faults that end a client, on hand-written timelines with the fault and without it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from halfopen.faults import (
    expire_nat,
    freeze,
    half_close,
    kill,
    lose_acks,
    preempt,
    reboot,
    reset,
    restart_edge,
    sleep,
    vanish,
)
from halfopen.model import timeline
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Event, Sample
from tests.harness.lines import flowing, sample, stuck, times


def proof(fault: ModuleType, samples: list[Sample], *events: Event) -> Proof:
    found: Proof = fault.signature(timeline.make(samples, events))
    return found


def said(t: float, name: str, kind: str = "fault", **data: Any) -> Event:
    return Event(t=t, kind=kind, name=name, data=data)


def unanswered(start: float, end: float, **fields: Any) -> list[Sample]:
    """Return samples with bytes retransmitted, and no packet from the peer since ``start``."""
    return [
        sample(
            t, **{"outq": 9000, "unacked": 6, "total_retrans": int(t - start), "last_ack_recv": ms(t - start)} | fields
        )
        for t in times(start, end)
    ]


def silent(start: float, end: float, since: float) -> list[Sample]:
    """Return samples with nothing sent, and nothing received since ``since``."""
    return [sample(t, last_ack_recv=ms(t - since)) for t in times(start, end)]


def ms(seconds: float) -> int:
    return round(seconds * 1000)


CUT_OFF = said(5.0, "cut_off", tried_for=1.0)
STOPPED = said(5.0, "stopped")
GONE = said(6.0, "destroyed", "kernel")
DARK = [vanish, lose_acks]


@pytest.mark.parametrize("fault", DARK)
def test_a_dark_path_shows_unanswered_retransmissions_and_no_packet(fault: ModuleType) -> None:
    assert proof(fault, unanswered(5, 35), CUT_OFF).shown


@pytest.mark.parametrize("fault", DARK)
def test_a_path_on_which_a_new_connection_got_through_is_not_dark(fault: ModuleType) -> None:
    assert proof(fault, unanswered(5, 35)) == Proof(
        False, "the client's path was to be dark, but nothing was tried on it in vain"
    )


@pytest.mark.parametrize("fault", DARK)
@pytest.mark.parametrize(
    "samples",
    [
        flowing(5, 35),
        flowing(5, 35, outq=4000),
        [*unanswered(5, 20), *flowing(20, 35)],
        stuck(5, 35),
        unanswered(5, 35, total_retrans=0),
        unanswered(5, 5.2),
        [],
    ],
    ids=["flowing", "queued", "back again", "a frozen client", "not sent again", "too short", "nothing seen"],
)
def test_what_a_dark_path_does_not_look_like(fault: ModuleType, samples: list[Sample]) -> None:
    assert not proof(fault, samples, CUT_OFF).shown


def test_a_silent_server_shows_a_dark_path_by_hearing_nothing() -> None:
    assert proof(vanish, silent(5, 35, since=4), CUT_OFF).shown
    assert not proof(vanish, silent(5, 35, since=30), CUT_OFF).shown


def test_behind_a_closed_window_the_silence_and_the_attempt_show_a_dark_path_with_probes_or_between_them() -> None:
    probed = [sample(t, outq=9000, snd_wnd=0, probes=3, last_ack_recv=ms(t - 5)) for t in times(5, 35)]
    assert proof(vanish, probed, CUT_OFF).shown
    between = [sample(t, outq=9000, snd_wnd=0, last_ack_recv=ms(t - 5)) for t in times(5, 35)]
    assert proof(vanish, between, CUT_OFF).shown
    assert not proof(vanish, between).shown
    answered = [*between[:-1], sample(35, outq=9000, snd_wnd=0, last_ack_recv=100)]
    assert not proof(vanish, answered, CUT_OFF).shown


def test_a_frozen_client_of_a_silent_server_or_of_small_frames_shows_by_its_own_silence() -> None:
    before = said(4.9, "progress", "client")
    assert proof(freeze, silent(5, 35, since=4), before, STOPPED) == Proof(True, "client stopped, nothing queued")
    assert proof(freeze, flowing(5, 35), before, STOPPED).shown
    after = said(30.0, "progress", "client")
    assert not proof(freeze, flowing(5, 35), STOPPED, after).shown
    assert not proof(freeze, silent(5, 35, since=4)).shown


def test_a_slept_laptop_is_stopped_and_cut_off() -> None:
    assert proof(sleep, unanswered(5, 35), STOPPED, CUT_OFF).shown
    assert not proof(sleep, unanswered(5, 35), CUT_OFF).shown
    assert not proof(sleep, unanswered(5, 35), STOPPED).shown
    assert not proof(sleep, unanswered(5, 35), STOPPED, CUT_OFF, said(20.0, "progress", "client")).shown


def test_a_mapping_is_forgotten_in_silence_only() -> None:
    quiet = silent(5, 8, since=2)
    late = unanswered(8, 35)
    dark = [
        *quiet,
        *(sample(s.t, outq=s.outq, unacked=6, total_retrans=s.total_retrans, last_ack_recv=ms(s.t - 2)) for s in late),
    ]
    assert proof(expire_nat, dark, CUT_OFF).shown
    assert not proof(expire_nat, unanswered(5, 35), CUT_OFF).shown
    assert not proof(expire_nat, dark).shown
    assert not proof(expire_nat, [], CUT_OFF).shown


def test_a_killed_client_is_dead_and_its_kernel_has_closed() -> None:
    killed = said(5.0, "killed")
    assert proof(kill, flowing(5, 6), killed, GONE).shown
    assert proof(kill, [sample(5.0, state="CLOSE_WAIT")], killed).shown
    assert not proof(kill, flowing(5, 6), killed).shown
    assert not proof(kill, flowing(5, 6), GONE).shown


def test_a_half_closed_client_has_sent_its_fin() -> None:
    shut = said(5.0, "half_closed", "client")
    assert proof(half_close, [sample(5.0, state="CLOSE_WAIT")], shut) == Proof(True, "client half-closed (CLOSE_WAIT)")
    assert proof(half_close, [sample(5.0, state="LAST_ACK")], shut).shown
    assert proof(half_close, flowing(5, 6), shut, GONE).shown
    assert not proof(half_close, flowing(5, 6), shut).shown
    assert not proof(half_close, [sample(5.0, state="CLOSE_WAIT")]).shown


def test_a_rebooted_client_has_forgotten_and_what_is_sent_to_it_is_reset() -> None:
    forgotten = said(6.0, "forgotten")
    assert proof(reboot, unanswered(5, 6), forgotten, GONE).shown
    assert proof(reboot, silent(5, 35, since=4), forgotten).shown
    assert not proof(reboot, flowing(5, 35), forgotten).shown
    assert not proof(reboot, unanswered(5, 35), forgotten).shown
    assert not proof(reboot, silent(5, 35, since=4), GONE).shown


def test_a_preempted_client_is_told_so_while_there_is_another() -> None:
    came = said(5.0, "opened", "rival")
    assert proof(preempt, flowing(5, 6), came, said(5.1, "close_received", "client", code=4001)).shown
    assert not proof(preempt, flowing(5, 6), said(5.1, "close_received", "client", code=4001)).shown
    assert not proof(preempt, flowing(5, 6), came, said(5.1, "close_received", "client", code=1000)).shown
    assert not proof(preempt, flowing(5, 6), came).shown


def test_a_reset_was_sent_by_the_client_and_reached_the_server() -> None:
    cut = said(5.0, "reset", "client", sent=516, of=1032)
    gone = said(5.1, "destroyed", "kernel")
    assert proof(reset, flowing(5, 5.1), cut, gone) == Proof(
        True, "connection reset after 516 of a message's 1032 bytes"
    )
    assert not proof(reset, flowing(5, 35), cut).shown
    assert not proof(reset, flowing(5, 5.1), gone).shown


def test_a_restarted_edge_ends_the_connection_and_one_that_stays_open_proves_nothing() -> None:
    down = said(5.0, "edge_down", by="term")
    assert proof(restart_edge, flowing(0, 5), down, said(5.01, "destroyed", "kernel")).shown
    assert proof(restart_edge, [*flowing(0, 5), sample(5.05, state="CLOSE_WAIT")], down).shown
    assert not proof(restart_edge, flowing(0, 9), down).shown
    assert not proof(restart_edge, flowing(0, 5), said(5.01, "destroyed", "kernel")).shown
