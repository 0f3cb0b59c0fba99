"""The schedule of polls by itself: moments in, connections out."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from halfopen.liveness.schedule import TURNS, Polled, PollSchedule

POLL = 2.0


def polls(schedule: PollSchedule[Polled], start: float, seconds: float) -> list[tuple[float, Polled]]:
    """Return every poll, with its moment, of a loop that is never late."""
    done: list[tuple[float, Polled]] = []
    now = start
    while (now := max(now, schedule.next_at(now))) < start + seconds:
        done.extend((now, polled) for polled in schedule.due(now))
    return done


@pytest.mark.parametrize("count", [1, 7, 100])
def test_each_connection_is_polled_once_a_poll(count: int) -> None:
    schedule: PollSchedule[Polled] = PollSchedule(POLL)
    connections = [Polled() for _ in range(count)]
    for connection in connections:
        schedule.add(connection)
    done = polls(schedule, 100.0, 10.01 * POLL)
    for connection in connections:
        moments = [at for at, polled in done if polled is connection]
        gaps = [after - before for before, after in itertools.pairwise(moments)]
        assert len(gaps) >= 9
        assert gaps == pytest.approx([POLL] * len(gaps))


def test_polls_of_many_are_spread_over_the_turns() -> None:
    schedule: PollSchedule[Polled] = PollSchedule(POLL)
    for _ in range(10 * TURNS):
        schedule.add(Polled())
    at_once = Counter(at for at, _ in polls(schedule, 0.0, 0.99 * POLL))
    assert set(at_once.values()) == {10}


def test_an_urgent_poll_comes_between_and_only_once() -> None:
    schedule: PollSchedule[Polled] = PollSchedule(POLL)
    connection = Polled()
    schedule.add(connection)
    assert schedule.due(schedule.next_at(0.0)) == [connection]
    schedule.expedite(connection, 0.7, 0.0)
    schedule.expedite(connection, 0.9, 0.0)  # later than the other, so that one is enough
    schedule.expedite(connection, 3 * POLL, 0.0)  # a regular one comes before
    assert [at for at, _ in polls(schedule, 0.1, 2.0)] == pytest.approx([0.7, 2.0])


def test_after_a_standstill_missed_polls_are_not_made_up_for() -> None:
    schedule: PollSchedule[Polled] = PollSchedule(POLL)
    connection = Polled()
    schedule.add(connection)
    polls(schedule, 0.0, POLL)
    assert schedule.next_at(1000.0) == pytest.approx(1000.0, abs=POLL)
    assert len(polls(schedule, 1000.0, 3 * POLL)) <= 3


def test_nothing_is_due_once_all_are_removed() -> None:
    schedule: PollSchedule[Polled] = PollSchedule(POLL)
    connection = Polled()
    schedule.add(connection)
    schedule.expedite(connection, 0.5, 0.0)
    schedule.remove(connection)
    schedule.remove(connection)
    assert not schedule
    assert schedule.next_at(10.0) == math.inf
    assert schedule.due(10.0) == []
