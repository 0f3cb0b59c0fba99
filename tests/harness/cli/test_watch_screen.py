"""The printed form of a sample, whole, at 80 and 120 columns, with and without colour."""

from __future__ import annotations

import dataclasses
import datetime
import io
from pathlib import Path

import pytest
from rich.color import ColorSystem
from rich.console import Console

from halfopen.cli import watch_screen
from halfopen.netns.census import RawSample
from halfopen.netns.sockets import Address
from halfopen.watch import watched_sessions
from halfopen.watch.poller import PollTable
from halfopen.watch.tracks import Track
from halfopen.watch.watched_sessions import WatchedSession
from tests.harness.watch.sightings import dark, shut, sighting

GRACE, POLL = 30.0, 2.0
JUDGES = watched_sessions.judges(GRACE, POLL, "bytes-acked")
AT = datetime.datetime(2026, 11, 26, 3, 4, 5)


def session(seen: RawSample, pid: int | None = None) -> WatchedSession:
    return watched_sessions.make(Track(seen, None, JUDGES.rules), pid, JUDGES)


FROZEN = session(shut(backoff=8, waited=1.0, number=1), pid=4242)
DARK = session(dark(retransmits=7, waited=6.5, number=2))
MOVING = session(sighting(outq=4000, unacked=3, number=3))


def picture(*shown: WatchedSession, sessions: int = 1002, queued: int | None = None) -> PollTable:
    stuck = sum(one.stuck >= GRACE for one in shown)
    many = len(shown) if queued is None else queued
    return PollTable("port 5090", AT, GRACE, "bytes-acked", sessions, many, stuck, shown)


def printed(of: PollTable, width: int, *, colour: bool = False, height: int | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, force_terminal=colour, no_color=not colour)
    console._color_system = ColorSystem.STANDARD if colour else None
    if height is None:
        watch_screen.show(console, of)
    else:
        console.print(watch_screen.live(of, width, height))
    return "\n".join(text.rstrip() for text in stream.getvalue().splitlines())


#: The expected output, with ^ for the escape that begins a colour.
EXPECTED = (Path(__file__).parent / "watch_screen.txt").read_text()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("colour", [False, True])
def test_one_look_is_told_whole(width: int, colour: bool) -> None:
    shown = printed(picture(FROZEN, DARK, MOVING), width, colour=colour)
    assert shown.replace("\x1b", "^") == section(f"{width} columns{', colour' if colour else ''}")
    assert colour or max(map(len, shown.splitlines())) <= width


def section(title: str) -> str:
    """Return the text under a title in the file of expected output."""
    _, _, rest = EXPECTED.partition(f"== {title}\n")
    return rest.partition("\n== ")[0].rstrip("\n")


def test_where_nothing_is_queued_a_line_says_so() -> None:
    assert printed(picture(sessions=1), 80) == "port 5090 at 03:04:05: 1 session, 0 with bytes queued, none stuck"


def test_a_terminal_is_shown_as_many_rows_as_it_has_room_for_and_how_many_more_there_are() -> None:
    shown = printed(picture(FROZEN, DARK, MOVING, queued=900), 80, height=6)
    assert shown.splitlines()[2:] == [
        "10.0.0.2:40001  2.6 MB    ≥53s     0 B  shut, answers  dead since ≥23s",
        "10.0.0.2:40002   88 kB    ≥32s   66 kB  dark           dead since ≥2.4s",
        "and 898 more with bytes queued, stuck no longer than these",
    ]


def test_a_long_address_is_cut_at_its_beginning_and_nothing_else_is() -> None:
    long = FROZEN.sample._replace(remote=Address("2001:db8:85a3:8d3:1319:8a2e:370:7348", 51234))
    lines = printed(picture(dataclasses.replace(FROZEN, sample=long)), 80).splitlines()
    assert lines[2].startswith("…")
    assert lines[2].endswith(":7348]:51234  2.6 MB    ≥53s     0 B  shut, answers  dead since ≥23s")
    assert len(lines[2]) == 80


def test_verdicts_are_told_once_for_those_whose_other_end_does_the_same() -> None:
    shown = printed(picture(*[FROZEN] * 5), 80)
    assert shown.count("since 03:03:11 or before") == 3
    assert shown.count("tcp-user-timeout") == 1
    assert shown.endswith("and 2 more that are stuck; --json has the verdicts on all")


def test_what_changed_is_a_line_each() -> None:
    seen = picture(FROZEN)
    key = FROZEN.seen.key
    assert list(watch_screen.news({}, {key: FROZEN}, seen)) == [
        (
            "03:04:05 stuck: 10.0.0.2:40001 (pid 4242): nothing acknowledged for at least 53s, 2.6 MB queued, "
            "since 03:03:11 or before"
        )
    ]
    assert list(watch_screen.news({key: FROZEN}, {}, seen)) == [
        "03:04:05 no longer stuck: 10.0.0.2:40001 moves again, or is closed"
    ]
    assert not list(watch_screen.news({key: FROZEN}, {key: FROZEN}, seen))


def test_json_has_what_the_table_has_and_when() -> None:
    told = watched_sessions.as_data(FROZEN, AT)
    assert (told["remote"], told["pid"], told["peer"]) == ("10.0.0.2:40001", 4242, "shut, answers")
    assert (told["stuck_s"], told["stuck_is_a_bound"]) == (pytest.approx(53.0, abs=0.1), True)
    assert told["stuck_since"].startswith("2026-11-26T03:03:11.")
    assert list(told["verdicts"]) == ["bytes-acked", "halfopen", "outq", "tcp-user-timeout"]
    assert told["verdicts"]["bytes-acked"] == {
        "verdict": "dead",
        "within_s": pytest.approx(-23.0, abs=0.1),
        "is_a_bound": True,
        "why": "send stall",
    }
