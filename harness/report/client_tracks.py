"""The clients of a run with several: a row of a table for each, and a track of what it received over time. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.report import thinning
from halfopen.results import words
from halfopen.results.words import Standing
from halfopen.scenario.spec import CROWD, SUBJECT

#: Columns of pixels to draw tracks for: they are small.
_COLUMNS = 300
#: Height of a track's drawing in its own units.
_TOP = 100
#: Seconds. Shorter times without data are not shaded.
_LEAST_SILENCE = 1.0
#: Events of a client to mark, and the words for them.
_MARKED = {
    "opened": "connected",
    "refused": "refused",
    "unanswered": "not answered",
    "unreachable": "unreachable",
    "close_received": "closed by the server",
    "closing": "closes",
    "ended": "ended",
}


class TrackSpan(NamedTuple):
    """A part of the time axis, in seconds since the subject's session opened."""

    begun: float
    seconds: float
    text: str = ""


class TrackMark(NamedTuple):
    """An event of a client."""

    kind: str
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class ClientTrack:
    """Data that one client received over time, drawn in a box of the run's length and 100 units high."""

    client: str
    line: str
    """Received data, as the path of an SVG image (SVG 2, section 9.3); empty if the client reported none."""
    most: str
    """Data received in all: the height of the line."""
    silences: tuple[TrackSpan, ...]
    """Times without data while the session was open. In a crowd, those of any of its clients."""
    marks: tuple[TrackMark, ...]


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client in the table of a run's clients."""

    client: str
    shown: Standing
    standing: str
    outcome: str
    gap: str
    received: str
    why: str


@dataclass(frozen=True, slots=True)
class Clients:
    """All clients of one run."""

    rows: tuple[ClientRow, ...]
    tracks: tuple[ClientTrack, ...]
    faults: tuple[TrackSpan, ...]
    """Faults on any of the clients."""
    until: float


def clients(run: Mapping[str, Any], timeline: Timeline | None, until: float) -> Clients | None:
    """Return the clients of a run, from its entry in results.json; None if it has only one.

    ``until`` is the end of the time axis. Without a timeline there are no tracks.
    """
    sessions = run.get("sessions") or ()
    if len(sessions) + bool(run.get("crowd")) < 2:
        return None
    by_client = {} if timeline is None else {SUBJECT: timeline, **timeline.others}
    over = float(run.get("duration_s") or until)
    rows = [_row(session, by_client.get(session["client"]), over) for session in sessions]
    if run.get("crowd"):
        rows.append(_crowd_row(run["crowd"], by_client.get(CROWD)))
    return Clients(
        rows=tuple(rows),
        tracks=tuple(_track(name, line, until) for name, line in by_client.items()),
        faults=tuple(_faults(by_client, until)),
        until=until,
    )


def _row(session: Mapping[str, Any], timeline: Timeline | None, over: float) -> ClientRow:
    gap = session.get("longest_gap_s")
    text = "" if gap is None else show_duration(round(gap, 1))
    reports = [] if timeline is None else [event.t for event in timeline.of("client", "progress")]
    ended = session.get("ended_at_s")
    # A process that is stopped cannot say for how long it got nothing.
    if text and reports and reports[-1] + _LEAST_SILENCE < (over if ended is None else ended):
        text = f"{text} until {reports[-1]:.1f}s, its last report"
    return _of_words(
        str(session["client"]),
        session,
        outcome=str(session.get("outcome") or "no session"),
        gap=text,
        received=show_bytes(session.get("received_bytes") or 0),
    )


def _crowd_row(crowd: Mapping[str, Any], timeline: Timeline | None) -> ClientRow:
    gap = crowd.get("longest_gap_s")
    return _of_words(
        CROWD,
        crowd,
        outcome=f"{crowd['clients']} clients, {crowd['served']} served",
        gap="" if gap is None else show_duration(round(gap, 1)),
        received="" if timeline is None else show_bytes(max(_received(timeline, "crowd")[1], default=0)),
    )


def _of_words(client: str, entry: Mapping[str, Any], outcome: str, gap: str, received: str) -> ClientRow:
    word = str(entry["verdict"])
    return ClientRow(client, words.STANDINGS[word], word, outcome, gap, received, str(entry["why"]))


def _received(timeline: Timeline, kind: str) -> tuple[list[float], list[int]]:
    reports = [event for event in timeline.of(kind, "progress") if "received" in event.data]
    return [max(0.0, event.t) for event in reports], [int(event.data["received"]) for event in reports]


def _track(name: str, timeline: Timeline, until: float) -> ClientTrack:
    kind = "crowd" if name == CROWD else "client"
    times, values = _received(timeline, kind)
    most = max(values, default=0)
    return ClientTrack(
        client=name,
        line=_path(times, values, most, until),
        most=show_bytes(most),
        silences=tuple(_joined(_silences(timeline, kind))),
        marks=() if name == CROWD else tuple(_marks(timeline)),
    )


def _path(times: Sequence[float], values: Sequence[int], most: int, until: float) -> str:
    kept = thinning.kept(times, values, max(until, 1e-3) / _COLUMNS)
    points = [f"{times[n]:.2f} {_TOP - _TOP * values[n] / max(most, 1):.1f}" for n in kept]
    return "M" + "L".join(points) if points else ""


def _silences(timeline: Timeline, kind: str) -> Iterator[TrackSpan]:
    """Yield the times without data, the one at the end too."""
    for event in timeline.of(kind, "gap"):
        yield _silence(event, "seconds")
    last = timeline.last(kind, "progress")
    if last is not None and "silent_for" in last.data:
        yield _silence(last, "silent_for")


def _silence(event: Event, key: str) -> TrackSpan:
    begun = max(0.0, event.t - event.data[key])
    return TrackSpan(begun, event.t - begun)


def _joined(spans: Iterable[TrackSpan]) -> Iterator[TrackSpan]:
    """Yield the long ones. Those that overlap are joined."""
    joined: list[TrackSpan] = []
    for span in sorted(span for span in spans if span.seconds >= _LEAST_SILENCE):
        if joined and span.begun <= joined[-1].begun + joined[-1].seconds:
            begun = joined[-1].begun
            until = max(begun + joined[-1].seconds, span.begun + span.seconds)
            joined[-1] = TrackSpan(begun, until - begun)
        else:
            joined.append(span)
    for begun, seconds, _ in joined:
        text = f"no data for {show_duration(round(seconds, 1))} from {begun:.1f}s on"
        yield TrackSpan(round(begun, 2), round(seconds, 2), text)


def _marks(timeline: Timeline) -> Iterator[TrackMark]:
    noted = list(timeline.of("client", *_MARKED))
    for before, event in zip([None, *noted], noted, strict=False):
        # The close frame is the news. That the connection then ends is none.
        if event.name == "ended" and before is not None and before.name != "opened":
            continue
        at = max(0.0, event.t)
        code = f" ({event.data['code']})" if event.data.get("code") else ""
        code = f" (HTTP {event.data['status']})" if event.data.get("status") else code
        yield TrackMark(event.name, round(at, 2), f"{_MARKED[event.name]} {show_duration(round(at, 1))}{code}")


def _faults(by_client: Mapping[str, Timeline], until: float) -> Iterator[TrackSpan]:
    """Yield the faults on all clients; one on several at once is one."""
    spans: dict[tuple[str, float], tuple[float, list[str]]] = {}
    for name, timeline in by_client.items():
        undone = {event.data.get("step"): event.t for event in timeline.of("fault", "undone")}
        for event in timeline.of("fault", "begun"):
            key = (str(event.data.get("fault", "fault")), round(event.t, 1))
            spans.setdefault(key, (undone.get(event.data.get("step"), until), []))[1].append(name)
    for (fault, begun), (over, names) in sorted(spans.items(), key=lambda item: item[0][1]):
        on = ", ".join(itertools.islice(names, 3)) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield TrackSpan(begun, round(max(0.0, over - begun), 2), f"{fault} on {on}")
