from __future__ import annotations

import pytest

from halfopen.grace import replay
from halfopen.grace.replay import seen
from halfopen.model.timeline import Timeline, make
from halfopen.pod.detectors.outq import QueueRule
from halfopen.pod.watchdog import StallRule
from tests.harness.lines import event, flowing, sample, stuck

OPENED = event(0.0, "target", "session_opened")


def line(stalled_from: float = 10.07, until: float = 60.0) -> Timeline:
    """Return a timeline with progress until a moment, and none after it."""
    return make([*flowing(0.0, stalled_from, outq=500), *stuck(stalled_from, until)], [OPENED])


@pytest.mark.parametrize(("grace", "poll"), [(5.0, 2.0), (30.0, 2.0), (30.0, 7.0), (3.0, 10.0), (4.0, 0.5)])
def test_a_stall_is_noticed_within_the_grace_and_a_poll(grace: float, poll: float) -> None:
    moment = replay.reaped_at(seen(line(), 60.0), StallRule, grace, poll)
    assert moment is not None
    # The last acknowledgement came a sample earlier, and a poll in between could still see it as new.
    assert 10.0 + grace <= moment <= 10.07 + grace + poll + 0.01


def test_looks_come_one_poll_after_the_start_and_then_when_the_grace_is_up() -> None:
    moment = replay.reaped_at(seen(line(), 60.0), StallRule, grace=5.0, poll=4.0)
    # Polls at 4, 8, 12 (the last progress), 16, and at 17, when the grace is over.
    assert moment == pytest.approx(17.0, abs=0.01)


def test_looks_are_counted_from_the_servers_own_start() -> None:
    later = make(line().samples, [event(-0.5, "target", "session_opened")])
    moment = replay.reaped_at(seen(later, 60.0), StallRule, grace=5.0, poll=4.0)
    assert moment == pytest.approx(16.5, abs=0.01)


def test_who_goes_on_before_the_grace_is_up_is_kept() -> None:
    healed = make([*flowing(0.0, 10.0, outq=500), *stuck(10.0, 20.0), *flowing(20.0, 60.0, outq=500)], [OPENED])
    session = seen(healed, 60.0)
    assert replay.reaped_at(session, StallRule, grace=12.5, poll=2.0) is None
    assert replay.reaped_at(session, StallRule, grace=7.0, poll=2.0) is not None


def test_what_would_come_after_the_end_never_comes() -> None:
    assert replay.reaped_at(seen(line(), 14.9), StallRule, grace=5.0, poll=2.0) is None


def test_a_connection_that_its_peer_closed_is_ended_at_the_next_look() -> None:
    closed = make([*flowing(0.0, 10.3, outq=500), *stuck(10.3, 60.0, state="CLOSE_WAIT")], [OPENED])
    assert replay.reaped_at(seen(closed, 60.0), StallRule, grace=30.0, poll=2.0) == pytest.approx(12.0, abs=0.01)


def test_an_acknowledgement_counts_from_when_it_came_not_from_the_sample_that_shows_it() -> None:
    """A poll between the two sees it already. Otherwise the count would begin a whole poll later."""
    samples = [
        sample(0.0, bytes_acked=1, outq=9),
        sample(3.9, bytes_acked=1, outq=9),
        sample(4.1, bytes_acked=2, outq=9, last_ack_recv=150),
        sample(30.0, bytes_acked=2, outq=9),
    ]
    session = seen(make(samples, [OPENED]), 30.0)
    assert replay.reaped_at(session, StallRule, grace=8.0, poll=2.0) == pytest.approx(12.0, abs=0.01)
    late = make([*samples[:2], sample(4.1, bytes_acked=2, outq=9, last_ack_recv=50), samples[3]], [OPENED])
    assert replay.reaped_at(seen(late, 30.0), StallRule, grace=8.0, poll=2.0) == pytest.approx(14.0, abs=0.01)


def test_what_is_queued_counts_from_when_it_was_sent_not_from_the_sample_that_shows_it() -> None:
    """For a server that sends less often than is polled: a poll between the two sees it already."""
    for sent_before, reaped in ((150, 10.0), (50, 12.0)):
        samples = [
            sample(0.0, bytes_acked=1, outq=0),
            sample(3.9, bytes_acked=1, outq=0),
            sample(4.1, bytes_acked=1, outq=9, last_data_sent=sent_before),
            sample(30.0, bytes_acked=1, outq=9, last_data_sent=26_000),
        ]
        session = seen(make(samples, [OPENED]), 30.0)
        assert replay.reaped_at(session, StallRule, grace=8.0, poll=2.0) == pytest.approx(reaped, abs=0.01)


def test_the_rule_is_the_one_that_is_given() -> None:
    plateau = seen(make(flowing(0.0, 40.0, outq=500), [OPENED]), 40.0)
    assert replay.reaped_at(plateau, QueueRule, grace=10.0, poll=2.0) is not None
    assert replay.reaped_at(plateau, StallRule, grace=10.0, poll=2.0) is None


def test_a_session_that_was_never_seen_is_never_reaped() -> None:
    assert replay.reaped_at(seen(make([], []), 0.0), StallRule, grace=5.0, poll=2.0) is None
