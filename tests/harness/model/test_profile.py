"""A server's profile, read off hand-written timelines."""

from __future__ import annotations

import pytest

from halfopen.model.profile import Profile, profile_of
from halfopen.model.timeline import Event, Timeline
from tests.harness.lines import event, line, sample, times

PING = event(120.0, "fault", "begun", step=0, fault="ping")


def reports(end: float, every: float, size: int) -> list[Event]:
    """Return the progress of a client that gets a message of ``size`` bytes each ``every`` seconds."""
    moments = [0.5 * n for n in range(round(end * 2) + 1)]
    counts = [(t, int(t / every) + 1 if every else 0) for t in moments]
    return [
        event(t, "client", "progress", read=n * size, received=n * size, acknowledged=0, messages=n, largest=size)
        for t, n in counts
    ]


def profile(*parts: object, every: float = 0.0, size: int = 100) -> Profile:
    opened = event(0.0, "client", "opened")
    seen = profile_of(line([sample(t) for t in times(0, 120)], opened, reports(120, every, size), *parts))  # type: ignore[arg-type]
    assert seen is not None
    return seen


def test_a_stream_has_a_rate_and_no_long_pause() -> None:
    seen = profile(PING, every=0.5, size=1000)
    assert seen.streams
    assert seen.rate == pytest.approx(2000, rel=0.02)
    assert str(seen) == "streams 2 kB/s in messages of up to 1 kB; sends no pings"


def test_a_server_that_sends_rarely_or_never_does_not_stream() -> None:
    rare, mute = profile(PING, every=45, size=16), profile(PING)
    assert not rare.streams
    assert rare.longest_pause == pytest.approx(45, abs=1)
    assert not mute.streams
    assert str(mute) == "sends nothing in 120s; sends no pings"


def test_pings_are_counted_and_timed_until_the_session_is_disturbed() -> None:
    pings = [event(t, "client", "ping_received") for t in (20.0, 40.0, 60.0, 140.0)]
    seen = profile(PING, *pings)
    assert (seen.pings, seen.pings_every) == (3, 20.0)
    assert seen.suggested_grace == 40
    assert str(seen).endswith("pings every 20s, so --grace should be at least 40s")


def test_pings_behind_each_message_suggest_no_grace() -> None:
    seen = profile(PING, *(event(0.05 * n, "client", "ping_received") for n in range(100)))
    assert (seen.pings_every, seen.suggested_grace) == (0.05, None)
    assert str(seen).endswith("pings every 50ms")


def test_a_server_without_pings_suggests_no_grace() -> None:
    assert profile(PING, event(20.0, "client", "ping_received")).suggested_grace is None


def test_answers_are_known_only_if_they_were_asked_for() -> None:
    asked = [event(120.0, "client", "pinged"), event(122.0, "client", "closing")]
    assert (profile(PING).answers_ping, profile(PING).answers_close) == (None, None)
    assert (profile(PING, asked).answers_ping, profile(PING, asked).answers_close) == (False, False)
    answers = [event(120.1, "client", "pong_received"), event(122.1, "client", "close_answered", code=1000)]
    seen = profile(PING, asked, answers)
    assert (seen.answers_ping, seen.answers_close) == (True, True)


def test_it_is_known_that_a_server_reads_only_if_something_was_sent() -> None:
    def reads(received: int, unread: int) -> bool | None:
        samples = [sample(t, bytes_received=200 + (received if t > 10 else 0), rqueue=unread) for t in times(0, 120)]
        seen = profile_of(line(samples, event(0.0, "client", "opened"), PING))
        assert seen is not None
        return seen.reads

    assert (reads(0, 0), reads(6, 0), reads(6, 6)) == (None, True, False)


def test_a_server_that_ends_an_undisturbed_session_says_when_and_how() -> None:
    closed = event(60.0, "client", "close_received", code=1001)
    seen = profile(closed)
    assert seen.ended_at == 60.0
    assert "ends an undisturbed session after 60s with close code 1001" in str(seen)


def test_without_a_session_there_is_no_profile() -> None:
    assert profile_of(Timeline()) is None
