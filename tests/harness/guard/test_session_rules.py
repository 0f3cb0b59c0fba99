"""The rules of the pod's detectors, applied from outside the server."""

from __future__ import annotations

import math
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.guard import session_rules
from halfopen.guard.session_rules import RULES, OutsideRule, has_moved, is_dialled
from halfopen.liveness.death import Death
from halfopen.liveness.reading import Reading, read
from halfopen.liveness.rule import Terms
from halfopen.netns.census import RawSample
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from tests.harness.watch.sightings import dark, shut, sighting
from tests.isolated import isolated
from tests.netns.network import loopback, sample_of, stall

GRACE, POLL = 10.0, 2.0
TERMS = Terms(GRACE, POLL, half_closed=GRACE)
START = 1000.0

every_rule = pytest.mark.parametrize("rule", [pytest.param(rule, id=name) for name, rule in RULES.items()])


def look(rule: OutsideRule, seen: RawSample) -> Death | None:
    return rule.look(Reading.of(seen.info), seen.outq, seen.t)


def frozen(t: float, stalled: float, **more: int) -> RawSample:
    """Return a client that has read nothing for so long, and whose kernel has just answered a probe."""
    return shut(t, backoff=4, waited=0.1, last_data_sent=round(stalled * 1000), **more)


def moments(count: int) -> list[float]:
    return [START + n * POLL for n in range(count)]


@every_rule
def test_a_frozen_client_is_dead_after_the_grace_and_not_before(rule: type[OutsideRule]) -> None:
    session = rule(TERMS, START - POLL)
    verdicts = [look(session, frozen(t, 1.0 + t - START)) for t in moments(8)]
    dead = [death for death in verdicts if death is not None]
    assert dead[0].reason == "send_stall"
    assert GRACE <= dead[0].stall_s <= GRACE + POLL
    assert verdicts.index(dead[0]) * POLL >= GRACE - POLL


@every_rule
def test_a_look_is_due_when_the_grace_ends_between_two_polls(rule: type[OutsideRule]) -> None:
    session = rule(Terms(GRACE + 1, POLL, half_closed=GRACE + 1), START)
    for t in moments(6):
        assert look(session, frozen(t, 0.1 + t - START)) is None
    assert START + 5 * POLL < session.due <= START + GRACE + 1
    assert look(session, frozen(session.due, 0.1 + session.due - START)) is not None


@every_rule
def test_a_session_with_nothing_queued_is_never_judged(rule: type[OutsideRule]) -> None:
    session = rule(TERMS, START)
    for t in moments(100):
        quiet = round((t - START) * 1000)
        seen = sighting(t, last_ack_recv=quiet, last_data_recv=quiet, last_data_sent=quiet)
        assert look(session, seen) is None
        assert session.due == math.inf


@every_rule
@given(gaps=st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_a_client_that_moves_within_every_grace_is_spared(rule: type[OutsideRule], gaps: list[int]) -> None:
    session, acked, stalled = rule(TERMS, START), 1000, 0.0
    polls_of_moves = {sum(gaps[: n + 1]) for n in range(len(gaps))}
    for number, t in enumerate(moments(sum(gaps) + 1)):
        moves = number in polls_of_moves
        acked += 100 * moves
        stalled = 0.0 if moves else stalled + POLL
        assert look(session, frozen(t, stalled, bytes_acked=acked, bytes_sent=acked)) is None


@every_rule
def test_a_client_that_closed_is_dead_a_grace_later_whatever_it_takes(rule: type[OutsideRule]) -> None:
    session = rule(TERMS, START)
    assert look(session, sighting(START)) is None
    verdicts = [look(session, sighting(t, state="CLOSE_WAIT", bytes_acked=int(t), outq=5)) for t in moments(6)]
    assert [death and death.reason for death in verdicts] == [*[None] * 5, "peer_closed"]


@every_rule
def test_a_side_that_the_server_closed_is_dead_a_grace_after_its_last_progress(rule: type[OutsideRule]) -> None:
    session = rule(TERMS, START)
    acked = [1000, 1000, 1000, 1000, 2000, *[2000] * 5]
    verdicts = [
        look(session, sighting(t, state="FIN_WAIT1", bytes_acked=count, outq=5))
        for t, count in zip(moments(10), acked, strict=True)
    ]
    assert [death and death.reason for death in verdicts] == [*[None] * 9, "no_answer"]


def test_a_dark_path_is_known_by_both_rules() -> None:
    for rule in RULES.values():
        session = rule(TERMS, START - POLL)
        look(session, sighting(START - POLL))
        for retransmits in range(3, 6):
            stalled = 0.204 * (2**retransmits - 1)
            look(session, dark(START + stalled, retransmits=retransmits, waited=0.01))
        assert session.darkness is not None


STALL = Death("send_stall", 1, GRACE, "ESTABLISHED")
UNREACHABLE = Death("unreachable", 1, GRACE, "ESTABLISHED")
CLOSED = Death("peer_closed", 0, GRACE, "CLOSE_WAIT")


def reading(seen: RawSample) -> Reading:
    return Reading.of(seen.info)


@pytest.mark.parametrize("field", ["bytes_acked", "bytes_received", "delivered"])
def test_any_progress_is_a_sign_of_life(field: str) -> None:
    before = reading(shut())
    assert not has_moved(STALL, before, before)
    assert has_moved(STALL, before, before._replace(**{field: getattr(before, field) + 1}))
    assert not has_moved(STALL, before, before._replace(notsent=before.notsent + 1)), "the server may write more"


def test_a_drained_queue_or_another_state_is_a_sign_of_life() -> None:
    before = reading(shut())
    assert has_moved(STALL, before, before._replace(notsent=0))
    assert has_moved(STALL, before, before._replace(state=7))
    assert has_moved(CLOSED, reading(sighting(state="CLOSE_WAIT")), reading(sighting(state="LAST_ACK")))


def test_an_answer_counts_only_if_the_path_was_said_to_be_dark() -> None:
    before = reading(dark())
    heard = before._replace(last_ack_recv=0)
    assert has_moved(UNREACHABLE, before, heard)
    assert not has_moved(STALL, before, heard)


def test_a_client_that_closed_may_still_take_data() -> None:
    before = reading(sighting(state="CLOSE_WAIT", outq=5))
    assert not has_moved(CLOSED, before, before._replace(bytes_acked=before.bytes_acked + 9))


def of(host: Host, sock: socket.socket) -> bool | None:
    return is_dialled(Reading._make(read(sock)), sample_of(host, sock).outq)


@isolated
def test_the_end_that_opened_a_connection_is_known_by_its_counters() -> None:
    with Lab() as lab:
        host = lab.host("host")
        for at, to in (("127.0.0.1", "127.0.0.1"), ("::", "::1"), ("::", "127.0.0.1")):
            with loopback(host, at, to) as (client, server):
                assert (of(host, client), of(host, server)) == (True, False)
                for end in (client, server):
                    end.send(b"some bytes")
                    end.setblocking(False)
                assert (of(host, client), of(host, server)) == (True, False)
                stall(client)
                stall(server)
                assert (of(host, client), of(host, server)) == (True, False)
                client.shutdown(socket.SHUT_WR)
                assert of(host, client) is None
                server.shutdown(socket.SHUT_WR)
                assert of(host, server) is None


def test_rules_have_the_names_of_the_detectors_that_use_them() -> None:
    assert list(session_rules.RULES) == ["halfopen", "bytes-acked"]
