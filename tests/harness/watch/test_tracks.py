from __future__ import annotations

from typing import Any

import pytest

from halfopen.netns.census import RawSample
from halfopen.pod.detectors.outq import QueueRule
from halfopen.pod.watchdog import StallRule
from halfopen.watch.tracks import Rules, Track, Tracks
from tests.harness.watch.sightings import shut, sighting

RULES: Rules = {"bytes-acked": StallRule, "outq": QueueRule}


def only(tracks: Tracks) -> Track:
    (track,) = tracks.queued.values()
    return track


def queued(t: float, outq: int = 500, **fields: Any) -> RawSample:
    return sighting(t, outq=outq, unacked=1, **fields)


def followed(*sightings: RawSample) -> Tracks:
    tracks = Tracks(RULES)
    for seen in sightings:
        tracks.follow([seen], seen.t)
    return tracks


def test_a_stall_that_was_there_at_the_first_look_is_a_bound() -> None:
    track = only(followed(shut(1000.0, backoff=8, waited=1.0)))
    assert track.is_bound
    assert track.stuck == pytest.approx(53.0, abs=0.1)
    assert track.stalled() == {"bytes-acked": pytest.approx(track.stuck), "outq": pytest.approx(track.stuck)}


def test_it_grows_while_nothing_changes_and_stays_a_bound() -> None:
    track = only(followed(shut(1000.0, backoff=8, waited=1.0), shut(1010.0, backoff=8, waited=11.0)))
    assert track.is_bound
    assert track.stuck == pytest.approx(63.0, abs=0.1)
    assert track.stalled()["bytes-acked"] == pytest.approx(63.0, abs=0.1)


def test_what_is_seen_to_begin_is_no_bound() -> None:
    tracks = Tracks(RULES)
    tracks.follow([], 999.0)
    tracks.follow([queued(1000.0)], 1000.0)
    tracks.follow([queued(1005.0)], 1005.0)
    assert (only(tracks).stuck, only(tracks).is_bound) == (5.0, False)


@pytest.mark.parametrize("change", [{"bytes_acked": 1001}, {"delivered": 11}, {"outq": 499}])
def test_whatever_the_peer_acknowledges_begins_the_time_again(change: dict[str, int]) -> None:
    usual = {"outq": 500, "bytes_acked": 1000, "delivered": 10}
    tracks = followed(shut(1000.0, backoff=8, **usual), shut(1001.0, backoff=8, **{**usual, **change}))
    assert (only(tracks).stuck, only(tracks).is_bound) == (0.0, False)


def test_what_is_written_does_not() -> None:
    tracks = followed(queued(1000.0, 500), queued(1004.0, 900))
    assert only(tracks).stuck == 4.0
    assert only(tracks).stalled() == {"bytes-acked": 4.0, "outq": 4.0}


def test_each_rule_counts_as_it_does_in_its_detector() -> None:
    """Acknowledged bytes with a constant queue, and packets beyond a gap, are progress for only one of the rules."""
    tracks = followed(queued(1000.0), queued(1004.0, bytes_acked=1500), queued(1006.0, bytes_acked=1500, delivered=12))
    assert only(tracks).stalled() == {"bytes-acked": 2.0, "outq": 6.0}
    assert only(tracks).stuck == 0.0


def test_a_queue_that_emptied_is_forgotten_and_one_that_comes_again_is_new() -> None:
    tracks = followed(queued(1000.0), sighting(1001.0))
    assert not tracks.queued
    tracks.follow([queued(1002.0)], 1002.0)
    assert (only(tracks).stuck, only(tracks).is_bound) == (0.0, False)


def test_sessions_are_told_apart() -> None:
    tracks = Tracks(RULES)
    for t in (1000.0, 1003.0):
        tracks.follow([queued(t, number=1), queued(t, number=2, bytes_acked=round(t))], t)
    assert sorted(track.stuck for track in tracks.queued.values()) == [0.0, 3.0]
