"""Output of ``halfopen watch`` for one poll.

It gives the number of sessions, a table of those with bytes queued, and each detector's verdict on the stuck ones.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.text import Text

from halfopen.netns.units import show_bytes, show_duration
from halfopen.watch import watched_sessions
from halfopen.watch.watched_sessions import WatchedSession

#: Columns from which there is room for the reasons.
_BROAD = 100
#: Stuck sessions shown with all verdicts. The others have an ordinary row.
_TOLD = 3
_COLOURS = {"dark": "red", "shut, silent": "red", "shut, answers": "yellow", "gone": "yellow"}
Cell = tuple[str, str]
"""A text and its style."""
_HEADS = ("client", "queued", "no ack", "window", "peer")
_MORE_HEADS = ("last ack", "probes", "retrans", "pid")
#: Left-aligned columns: client, peer.
_LEFT = {0, 4}
_GAP = "  "
_LEAST_CLIENT = 12
#: Lines around the table of a live view: the header, the column heads, the note.
_AROUND = 4


@dataclass(frozen=True, slots=True)
class PollTable:
    """One poll, ready to show."""

    what: str
    """Name of the watched server."""
    wall: datetime.datetime
    """Time of day."""
    grace: float
    detector: str
    """Detector whose verdict has a column."""
    sessions: int
    queued: int
    """Number of sessions with bytes queued."""
    stuck: int
    """Number of those stuck for as long as the grace."""
    shown: Sequence[WatchedSession]
    """Sessions that have a row, most stuck first. All have bytes queued."""


def header(picture: PollTable) -> str:
    """Format one line with the watched server and the counts of this poll."""
    plural = "" if picture.sessions == 1 else "s"
    stuck = f"{picture.stuck:,} stuck for {show_duration(picture.grace)}" if picture.stuck else "none stuck"
    return (
        f"{picture.what} at {picture.wall:%H:%M:%S}: {picture.sessions:,} session{plural}, "
        f"{picture.queued:,} with bytes queued, {stuck}"
    )


def once(picture: PollTable, width: int) -> Iterator[RenderableType]:
    """Yield everything to print of one poll."""
    yield Text(header(picture))
    if not picture.shown:
        return
    yield table(picture, width)
    if note := _note(picture):
        yield note
    yield from details(picture)


def live(picture: PollTable, width: int, height: int) -> Group:
    """Fit the picture to a terminal: the header, and as many rows as there is room for."""
    room = max(1, height - _AROUND)
    fitting = dataclasses.replace(picture, shown=picture.shown[:room])
    parts: list[RenderableType] = [Text(header(picture), no_wrap=True, overflow="ellipsis")]
    if fitting.shown:
        parts.append(table(fitting, width))
    if note := _note(fitting):
        parts.append(note)
    return Group(*parts)


def _note(picture: PollTable) -> Text | None:
    more = picture.queued - len(picture.shown)
    return Text(f"and {more:,} more with bytes queued, for no longer than these", style="dim") if more > 0 else None


def table(picture: PollTable, width: int) -> Text:
    """Build a row for each session with bytes queued; fits 80 columns, and shows more in 100.

    It is set by hand: for fifty rows, rich's own table takes longer than a poll of ten thousand sockets.
    """
    broad = width >= _BROAD
    heads = [*_HEADS, *(_MORE_HEADS if broad else ()), picture.detector]
    rows = [[(head, "bold") for head in heads], *(_row(session, picture, broad) for session in picture.shown)]
    widths = [max(len(row[column][0]) for row in rows) for column in range(len(heads))]
    # Only the address is cut, however long it is, never the other columns.
    widths[0] = max(min(widths[0], width - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)), _LEAST_CLIENT)
    lines = [Text.assemble(*_set(row, widths), no_wrap=True) for row in rows]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _set(row: Sequence[Cell], widths: Sequence[int]) -> Iterator[Cell]:
    """Yield the row's cells padded to these widths, with nothing after the last."""
    last = len(row) - 1
    for column, ((text, style), wide) in enumerate(zip(row, widths, strict=True)):
        if len(text) > wide:
            text = f"…{text[len(text) - wide + 1 :]}"  # noqa: PLW2901 (the port is at the end)
        if column in _LEFT or column == last:
            padding = "" if column == last else " " * (wide - len(text))
            yield text, style
            yield padding, ""
        else:
            yield " " * (wide - len(text)), ""
            yield text, style
        if column != last:
            yield _GAP, ""


def _row(session: WatchedSession, picture: PollTable, broad: bool) -> list[Cell]:
    info = session.sample.info
    window = None if info is None else info.snd_wnd
    more: list[Cell] = []
    if broad and info is not None:
        last = show_duration(_rounded(info.last_ack_recv / 1000))
        probes = info.backoff if session.peer.startswith("shut") else 0
        more = [(last, ""), (str(probes), ""), (str(info.retransmits), ""), (str(session.pid or ""), "")]
    verdict = session.verdict(picture.detector)
    return [
        (str(session.sample.remote), ""),
        (show_bytes(session.sample.outq), ""),
        (_since(session), "red" if session.stuck >= picture.grace else ""),
        ("" if window is None else show_bytes(window), ""),
        (session.peer, _COLOURS.get(session.peer, "")),
        *more,
        (
            "" if session.peer == "reads" else verdict.brief,
            "red" if verdict.within is not None and verdict.within <= 0 else "",
        ),
    ]


def _since(session: WatchedSession) -> str:
    """Format the time without an acknowledgement; empty if too short to show."""
    seconds = _rounded(session.stuck)
    return f"{'≥' * session.is_bound}{show_duration(seconds)}" if seconds else ""


def _rounded(seconds: float) -> float:
    return round(seconds, 1) if seconds < 10 else float(round(seconds))


def details(picture: PollTable) -> Iterator[RenderableType]:
    """Yield the kernel's view and each detector's verdict for the most stuck sessions."""
    stuck = [session for session in picture.shown if session.stuck >= picture.grace]
    told = set[str]()
    for session in stuck[:_TOLD]:
        yield Text()
        yield Text("\n".join(_story(session, picture, whole=session.peer not in told)))
        told.add(session.peer)
    if picture.stuck > _TOLD:
        yield Text(f"\nand {picture.stuck - _TOLD:,} more that are stuck; --json tells all of each")


def line(session: WatchedSession, picture: PollTable) -> str:
    """Describe one stuck session in a sentence."""
    return f"{_what(session)}, since {_since_when(session, picture)}"


def _what(session: WatchedSession) -> str:
    owner = f" (pid {session.pid})" if session.pid else ""
    least = "at least " if session.is_bound else ""
    return (
        f"{session.sample.remote}{owner}: nothing acknowledged for {least}{show_duration(_rounded(session.stuck))}, "
        f"{show_bytes(session.sample.outq)} queued"
    )


def _since_when(session: WatchedSession, picture: PollTable) -> str:
    return f"{watched_sessions.began(session, picture.wall):%H:%M:%S}{' or before' if session.is_bound else ''}"


def news(
    before: Mapping[bytes, WatchedSession], now: Mapping[bytes, WatchedSession], picture: PollTable
) -> Iterator[str]:
    """Yield a line for each session that became stuck since the last poll, and for each that no longer is."""
    at = f"{picture.wall:%H:%M:%S}"
    for key in now.keys() - before.keys():
        yield f"{at} stuck: {line(now[key], picture)}"
    for key in before.keys() - now.keys():
        yield f"{at} over: {before[key].sample.remote} is no longer stuck: it moves again, or is closed"


def _story(session: WatchedSession, picture: PollTable, *, whole: bool) -> Iterator[str]:
    """Yield the lines of one session.

    ``whole`` includes all verdicts, which are the same for every session whose peer does the same.
    """
    yield _what(session)
    yield f"  since {_since_when(session, picture)}; {_kernel(session)}"
    if not whole:
        return
    for name, verdict in session.verdicts().items():
        yield f"  {name:<16}  {verdict}"


def _kernel(session: WatchedSession) -> str:
    """Describe the kernel's view of the peer in a clause."""
    info = session.sample.info
    assert info is not None
    last = show_duration(_rounded(info.last_ack_recv / 1000))
    match session.peer:
        case "shut, answers":
            return "its window is shut, its kernel answers: nobody reads"
        case "shut, silent":
            return f"its window is shut, its kernel silent for {last}"
        case "dark":
            return f"{info.backoff} retransmissions, no answer for {last}"
        case "gone":
            return f"the connection is {session.sample.state}: it has closed it"
        case _:
            return f"{info.unacked} packets are on their way"


def show(console: Console, picture: PollTable) -> None:
    """Print one whole poll."""
    for part in once(picture, console.width):
        console.print(part, soft_wrap=isinstance(part, Text))
