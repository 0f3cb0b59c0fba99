"""The rule by itself: readings in, a verdict out. Times are the rule's own, so nothing here waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.liveness.death import Death
from halfopen.liveness.reading import Reading
from halfopen.liveness.rule import Rule, Terms

GRACE, POLL = 30.0, 2.0
TERMS = Terms(GRACE, POLL)
OUTAGE = TERMS.longest_outage
WINDOW = 131_072
RTT = 0.02

IDLE = Reading(
    state=1, probes=0, unacked=0, last_data_sent=0, last_data_recv=0, last_ack_recv=0, rtt=20_000, rttvar=5_000,
    bytes_acked=1000, bytes_received=100, notsent=0, delivered=10, bytes_sent=1000, bytes_retrans=0, snd_wnd=WINDOW,
)  # fmt: skip


class Peer:
    """A connection over time, as a rule sees it at each poll."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.now = 1000.0
        self.rule = Rule(terms, self.now)
        self.seen = IDLE
        self.sent_at = self.heard_at = self.answered_at = self.now
        self.death: Death | None = None
        self.asked = 0

    def look(self) -> Death | None:
        """Poll once. A ping that is due is sent, if there is room, and is queued until it is acknowledged."""
        ages = {
            "last_data_sent": round((self.now - self.sent_at) * 1000),
            "last_data_recv": round((self.now - self.heard_at) * 1000),
            "last_ack_recv": round((self.now - self.answered_at) * 1000),
        }
        self.seen = self.seen._replace(**ages)
        self.death = self.rule.look(self.seen, self.now)
        if self.death is None and self.rule.wants_answer and not self.seen.notsent:
            self.asked += 1
            self.seen = self.seen._replace(unacked=1, bytes_sent=self.seen.bytes_sent + 8)
            self.sent_at = self.now
            self.rule.asked(self.seen)
        return self.death

    def wait(self, seconds: float = POLL) -> None:
        self.now += seconds

    def acknowledge(self) -> None:
        """The peer's kernel acknowledges everything."""
        self.answered_at = self.now
        self.seen = self.seen._replace(unacked=0, notsent=0, bytes_acked=self.seen.bytes_sent, delivered=99)

    def speak(self) -> None:
        """The peer's application sends something."""
        self.answered_at = self.heard_at = self.now
        self.seen = self.seen._replace(bytes_received=self.seen.bytes_received + 10)

    def shut(self) -> None:
        """Its window is shut and bytes are queued."""
        self.answered_at = self.now
        self.seen = self.seen._replace(unacked=0, notsent=100_000, snd_wnd=0)

    def probe(self) -> None:
        """The peer's kernel answers a probe of its window."""
        self.answered_at = self.now

    def retransmit(self) -> None:
        self.sent_at = self.now
        self.seen = self.seen._replace(unacked=6, notsent=50_000)


def test_a_window_shut_by_a_live_kernel_is_a_stall_after_the_grace() -> None:
    peer = Peer()
    peer.look()
    peer.shut()
    peer.look()
    began = peer.now
    while peer.look() is None:
        assert peer.now - began <= GRACE + POLL
        peer.wait(min(POLL, peer.rule.due - peer.now))
        peer.probe()
    assert peer.death is not None
    assert (peer.death.reason, peer.death.backlog_bytes) == ("send_stall", 100_000)
    assert peer.now - began == pytest.approx(GRACE, abs=0.1)


def test_any_byte_that_moves_begins_the_grace_again() -> None:
    peer = Peer()
    peer.shut()
    for _ in range(100):
        for _ in range(int(0.9 * GRACE / POLL)):
            assert peer.look() is None
            peer.wait()
            peer.probe()
        peer.seen = peer.seen._replace(bytes_acked=peer.seen.bytes_acked + 1)


def test_packets_that_arrive_ahead_of_a_gap_are_progress() -> None:
    peer = Peer()
    for _ in range(60):
        peer.seen = peer.seen._replace(unacked=9, delivered=peer.seen.delivered + 1)
        peer.answered_at = peer.now
        assert peer.look() is None
        peer.wait()


def test_a_slow_reader_has_the_time_that_the_least_rate_gives_it_for_what_is_unread() -> None:
    rate = WINDOW / (4 * GRACE)
    peer = Peer(Terms(GRACE, POLL, min_rate=rate))
    peer.look()
    peer.seen = peer.seen._replace(bytes_acked=10 * WINDOW, bytes_sent=10 * WINDOW)
    peer.shut()
    peer.look()
    began = peer.now
    while peer.look() is None:
        peer.wait()
        peer.probe()
    assert 4 * GRACE <= peer.now - began <= 4 * GRACE + 2 * POLL


@pytest.mark.parametrize("rto", [0.2, 0.22, 0.5, 0.71, 0.9])
@pytest.mark.parametrize("outage", [10.0, 20.0, 27.0, 40.0])
def test_an_outage_is_survived_whatever_retransmissions_make_of_it(rto: float, outage: float) -> None:
    """Retransmissions come at rto * (2^k - 1), so the stall is up to twice the outage."""
    peer = Peer()
    peer.look()
    assert healed_after(peer, rto, outage) < 2 * outage + 1
    assert peer.look() is None


def healed_after(peer: Peer, rto: float, outage: float) -> float:
    """Return the seconds from the beginning of an outage to the first answer, with polls as usual and whenever due."""
    began = peer.now
    peer.retransmit()
    distance, question, poll = rto, peer.now + rto, peer.now
    while True:
        peer.now = min(poll, question, max(peer.rule.due, peer.now + 0.01))
        if peer.now == question:
            if question - began >= outage:
                peer.wait(RTT)
                peer.acknowledge()
                return peer.now - began
            peer.retransmit()
            distance *= 2
            question += distance
            continue
        assert peer.look() is None, peer.death
        if peer.now == poll:
            poll += POLL


@pytest.mark.parametrize("rto", [0.2, 0.22, 0.35, 0.5, 0.71, 0.9])
def test_a_dark_path_is_found_by_the_question_after_the_longest_outage(rto: float) -> None:
    peer = Peer()
    peer.look()
    with pytest.raises(AssertionError, match="unreachable"):
        healed_after(peer, rto, 1000 * GRACE)
    assert OUTAGE <= peer.now - 1000.0 <= 3 * GRACE + POLL + 5


def test_no_question_is_no_evidence_however_long_it_was_quiet() -> None:
    """A silence is proved only up to the last probe, not up to the present."""
    peer = Peer()
    peer.look()
    peer.wait()
    peer.retransmit()
    for _ in range(200):
        assert peer.look() is None
        peer.wait()


def test_a_flight_sent_with_the_last_answer_is_in_doubt_and_not_a_stall() -> None:
    """At a loss of 20 % all of it is lost now and then, and a timer backed off to half a minute sends no probe."""
    peer = Peer()
    peer.look()
    peer.retransmit()
    peer.answered_at = peer.sent_at = peer.now
    for _ in range(int(1.4 * GRACE / POLL)):
        assert peer.look() is None
        peer.wait()


def test_who_says_nothing_is_asked_and_who_does_not_answer_is_dead() -> None:
    peer = Peer()
    took = 0.0
    while peer.look() is None:
        peer.wait()
        took += POLL
        if peer.asked:
            peer.acknowledge()
        assert took <= 2 * GRACE + POLL
    assert peer.death is not None
    assert peer.death.reason == "no_answer"
    assert took >= 1.5 * GRACE
    # Ask once more halfway: a path that went dark since must not pass for an application that does not answer.
    assert peer.asked == 2


def test_who_answers_is_left_alone_for_ever() -> None:
    peer = Peer()
    for _ in range(500):
        asked = peer.asked
        assert peer.look() is None
        if peer.asked > asked:
            peer.acknowledge()
            peer.speak()
        peer.wait()
    assert peer.asked >= 500 * POLL / GRACE


def test_a_ping_that_its_kernel_never_got_is_a_question_of_the_path() -> None:
    """Silence, then an outage, and a ping into the dark: its retransmissions decide."""
    peer = Peer()
    while not peer.asked:
        assert peer.look() is None
        peer.wait()
    with pytest.raises(AssertionError, match="unreachable"):
        healed_after(peer, 0.2, 1000 * GRACE)


def test_of_a_time_in_which_nobody_looked_two_polls_count() -> None:
    """The server itself stood still: its interpreter's lock was held, it was stopped, or its machine slept."""
    peer = Peer()
    peer.shut()
    peer.look()
    for _ in range(int(GRACE / (2 * POLL))):
        peer.wait(100 * GRACE)
        peer.probe()
        assert peer.look() is None
    peer.wait(100 * GRACE)
    peer.probe()
    assert peer.look() is not None


@pytest.mark.parametrize("state", [8, 7, 9])
def test_a_peer_that_closed_is_told_at_once(state: int) -> None:
    rule = Rule(TERMS, 0.0)
    death = rule.look(IDLE._replace(state=state), 1.0)
    assert death is not None
    assert death.reason == "peer_closed"


@pytest.mark.parametrize("state", [4, 5, 11])
def test_a_closing_of_the_servers_own_has_the_grace(state: int) -> None:
    rule, now = Rule(TERMS, 0.0), 0.0
    while (death := rule.look(IDLE._replace(state=state), now)) is None:
        now += POLL
    assert death.reason == "no_answer"
    assert GRACE <= now <= GRACE + POLL


@pytest.mark.parametrize("half_closed", [0.0, GRACE])
def test_a_closing_of_the_peers_own_has_the_time_that_the_server_may_take(half_closed: float) -> None:
    rule, now = Rule(Terms(GRACE, POLL, half_closed=half_closed), 0.0), 0.0
    while (death := rule.look(IDLE._replace(state=8), now)) is None:
        now += POLL
    assert (death.reason, death.tcp_state) == ("peer_closed", "CLOSE_WAIT")
    assert half_closed <= now <= half_closed + POLL


def test_a_standstill_is_not_time_that_the_server_had() -> None:
    rule = Rule(Terms(GRACE, POLL, half_closed=GRACE), 0.0)
    assert rule.look(IDLE._replace(state=8), 0.0) is None
    assert rule.look(IDLE._replace(state=8), 100 * GRACE) is None


def test_a_question_withdrawn_is_asked_again_and_ends_nobody_before() -> None:
    peer = Peer()
    while not peer.asked:
        peer.look()
        peer.wait()
    peer.acknowledge()
    for _ in range(int(GRACE / POLL) + 2):
        peer.rule.excuse()
        peer.probe()
        assert peer.look() is None
        peer.wait()
        peer.acknowledge()
    assert peer.asked > 1


def test_probes_that_nothing_answers_prove_an_outage_too() -> None:
    """A closed window, and then the host is gone."""
    peer = Peer()
    peer.look()
    peer.shut()
    began, distance, next_probe = peer.now, 0.2, peer.now + 0.2
    while peer.look() is None:
        peer.wait(0.1)
        if peer.now >= next_probe:
            peer.seen = peer.seen._replace(probes=peer.seen.probes + 1)
            distance *= 2
            next_probe += distance
        assert peer.now - began <= 3 * GRACE + POLL + 5
    assert peer.death is not None
    assert (peer.death.reason, peer.now - began >= OUTAGE) == ("unreachable", True)


MOMENTS = st.lists(
    st.tuples(
        st.floats(0.01, 10),
        st.sampled_from(["nothing", "acknowledge", "speak", "shut", "probe", "retransmit"]),
    ),
    min_size=1,
    max_size=80,
)


@given(MOMENTS)
def test_nobody_is_dead_sooner_than_a_grace_after_the_last_sign_of_life(moments: list[tuple[float, str]]) -> None:
    peer = Peer()
    alive_at = peer.now
    for gap, what in moments:
        peer.wait(gap)
        if what != "nothing":
            getattr(peer, what)()
        if what == "speak":
            alive_at = peer.now
        if peer.look() is not None:
            assert peer.now - alive_at >= GRACE
            return


@given(MOMENTS)
def test_whoever_speaks_at_least_every_grace_is_spared_whatever_else_happens(moments: list[tuple[float, str]]) -> None:
    peer = Peer()
    for gap, what in moments:
        peer.wait(gap)
        if what != "nothing":
            getattr(peer, what)()
        if peer.now - peer.heard_at >= GRACE / 2:
            peer.speak()
        assert peer.look() is None
