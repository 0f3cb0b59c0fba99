from __future__ import annotations

import pytest

from halfopen.netns.census import RawSample
from halfopen.watch import watched_sessions
from halfopen.watch.tracks import Track
from tests.harness.watch.sightings import dark, shut, sighting

JUDGES = watched_sessions.judges(30.0, 2.0, "bytes-acked")


def seen_as(seen: RawSample) -> str:
    return watched_sessions.make(Track(seen, None, JUDGES.rules), None, JUDGES).peer


@pytest.mark.parametrize(
    ("seen", "peer"),
    [
        (shut(), "shut, answers"),
        (shut(probes=1), "shut, answers"),  # the answer is in flight
        (shut(probes=4, last_ack_recv=40_000), "shut, silent"),
        (dark(), "dark"),
        (dark(snd_wnd=0, last_ack_recv=6_000), "shut, answers"),  # window shrank below the data in flight
        (dark(snd_wnd=0), "shut, silent"),
        (sighting(outq=1, unacked=1), "reads"),
        (sighting(outq=1, unacked=1, backoff=5, options=0), "reads"),  # an old backoff, and no timestamps
        (sighting(outq=1, unacked=1, state="CLOSE_WAIT"), "gone"),
    ],
)
def test_what_the_other_end_does_is_told_by_what_it_answers(seen: RawSample, peer: str) -> None:
    assert seen_as(seen) == peer


def test_a_session_of_which_nothing_came_back_waits() -> None:
    track = Track(sighting(1000.0, outq=1, unacked=1), None, JUDGES.rules)
    track.follow(sighting(1003.0, outq=1, unacked=1))
    assert watched_sessions.make(track, None, JUDGES).peer == "waiting"


def test_one_with_nothing_queued_reads_for_all_that_is_known() -> None:
    quiet = watched_sessions.quiet(sighting(), 7, JUDGES)
    assert (quiet.peer, quiet.pid, quiet.stuck) == ("reads", 7, 0.0)
    assert watched_sessions.quiet(sighting(state="CLOSE_WAIT"), None, JUDGES).peer == "gone"
