"""Output of ``halfopen watch`` for one poll.

It gives the number of sessions, a table of those with bytes queued, and each detector's verdict on the stuck ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group
from rich.text import Text

from halfopen.netns.units import show_bytes, show_duration
from halfopen.pod.forecast import brief_duration
from halfopen.watch import watched_sessions
from halfopen.watch.poller import PollTable
from halfopen.watch.watched_sessions import WatchedSession

#: Columns from which there is room for the reasons.
_BROAD = 100
#: Stuck sessions shown with all verdicts. The others have an ordinary row.
_IN_FULL = 3
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


def header(table: PollTable) -> str:
    """Format one line with the watched server and the counts of this poll."""
    plural = "" if table.sessions == 1 else "s"
    stuck = f"{table.stuck:,} stuck for {show_duration(table.grace)}" if table.stuck else "none stuck"
    return (
        f"{table.server} at {table.wall:%H:%M:%S}: {table.sessions:,} session{plural}, "
        f"{table.queued:,} with bytes queued, {stuck}"
    )


def show(console: Console, table: PollTable) -> None:
    """Print one whole poll."""
    parts = [Text(header(table))]
    if table.shown:
        parts += [body(table, console.width), *_note(table), *details(table)]
    for part in parts:
        console.print(part, soft_wrap=True)


def live(table: PollTable, width: int, height: int) -> Group:
    """Fit the table to a terminal: the header, and as many rows as there is room for."""
    fitting = dataclasses.replace(table, shown=table.shown[: max(1, height - _AROUND)])
    parts = [Text(header(table), no_wrap=True, overflow="ellipsis")]
    if fitting.shown:
        parts += [body(fitting, width), *_note(fitting)]
    return Group(*parts)


def _note(table: PollTable) -> Iterator[Text]:
    if more := table.queued - len(table.shown):
        yield Text(f"and {more:,} more with bytes queued, stuck no longer than these", style="dim")


def body(table: PollTable, width: int) -> Text:
    """Build a row for each session with bytes queued; fits 80 columns, and shows more in 100.

    It is set by hand: for fifty rows, rich's own table takes longer than a poll of ten thousand sockets.
    """
    broad = width >= _BROAD
    heads = [*_HEADS, *(_MORE_HEADS if broad else ()), table.detector]
    rows = [[(head, "bold") for head in heads], *(_row(session, table, broad) for session in table.shown)]
    widths = [max(len(row[column][0]) for row in rows) for column in range(len(heads))]
    # Only the address is cut, however long it is, never the other columns.
    widths[0] = max(min(widths[0], width - sum(widths[1:]) - len(_GAP) * (len(widths) - 1)), _LEAST_CLIENT)
    lines = [Text.assemble(*_set(row, widths), no_wrap=True) for row in rows]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _set(row: Sequence[Cell], widths: Sequence[int]) -> Iterator[Cell]:
    """Yield the row's cells padded to these widths, with nothing after the last."""
    last = len(row) - 1
    for column, ((text, style), wide) in enumerate(zip(row, widths, strict=True)):
        shown = text if len(text) <= wide else f"…{text[len(text) - wide + 1 :]}"  # the port is at the end
        padding = " " * (wide - len(shown))
        is_left = column in _LEFT or column == last
        if not is_left:
            yield padding, ""
        yield shown, style
        if column != last:
            yield padding * is_left + _GAP, ""


def _row(session: WatchedSession, table: PollTable, broad: bool) -> list[Cell]:
    info = session.sample.info
    window = None if info is None else info.snd_wnd
    more: list[Cell] = []
    if broad and info is not None:
        last = brief_duration(info.unheard)
        probes = info.backoff if session.peer.startswith("shut") else 0
        more = [(last, ""), (str(probes), ""), (str(info.retransmits), ""), (str(session.pid or ""), "")]
    verdict = session.verdict(table.detector)
    return [
        (str(session.sample.remote), ""),
        (show_bytes(session.sample.outq), ""),
        (_since(session), "red" if session.stuck >= table.grace else ""),
        ("" if window is None else show_bytes(window), ""),
        (session.peer, _COLOURS.get(session.peer, "")),
        *more,
        ("", "") if verdict is None or session.peer == "reads" else (verdict.brief, "red" * verdict.is_past),
    ]


def _since(session: WatchedSession) -> str:
    """Format the time without an acknowledgement; empty if too short to show."""
    return f"{'≥' * session.is_bound}{brief_duration(session.stuck)}" if round(session.stuck, 1) else ""


def details(table: PollTable) -> Iterator[Text]:
    """Yield the kernel's view and each detector's verdict for the most stuck sessions."""
    stuck = [session for session in table.shown if session.stuck >= table.grace]
    peers = set[str]()
    for session in stuck[:_IN_FULL]:
        yield Text()
        yield Text("\n".join(_story(session, table, whole=session.peer not in peers)))
        peers.add(session.peer)
    if table.stuck > _IN_FULL:
        yield Text(f"\nand {table.stuck - _IN_FULL:,} more that are stuck; --json has the verdicts on all")


def _what(session: WatchedSession) -> str:
    owner = f" (pid {session.pid})" if session.pid else ""
    least = "at least " if session.is_bound else ""
    if session.peer == "gone":
        since = f"{least}{brief_duration(session.stuck)}"
        return f"{session.sample.remote}{owner}: its client closed {since} ago, and the server still holds the socket"
    return (
        f"{session.sample.remote}{owner}: nothing acknowledged for {least}{brief_duration(session.stuck)}, "
        f"{show_bytes(session.sample.outq)} queued"
    )


def _since_when(session: WatchedSession, table: PollTable) -> str:
    return f"{watched_sessions.began(session, table.wall):%H:%M:%S}{' or before' if session.is_bound else ''}"


def news(
    before: Mapping[bytes, WatchedSession], now: Mapping[bytes, WatchedSession], table: PollTable
) -> Iterator[str]:
    """Yield a line for each session that became stuck since the last poll, and for each that no longer is."""
    at = f"{table.wall:%H:%M:%S}"
    for key in now.keys() - before.keys():
        yield f"{at} stuck: {_what(now[key])}, since {_since_when(now[key], table)}"
    for key in before.keys() - now.keys():
        yield f"{at} no longer stuck: {before[key].sample.remote} moves again, or is closed"


def _story(session: WatchedSession, table: PollTable, *, whole: bool) -> Iterator[str]:
    """Yield the lines of one session.

    ``whole`` includes all verdicts, which are the same for every session whose peer does the same.
    """
    yield _what(session)
    yield f"  since {_since_when(session, table)}; {_kernel(session)}"
    if not whole:
        return
    verdicts = session.verdicts()
    wide = max(map(len, verdicts), default=0)
    for name, verdict in verdicts.items():
        yield f"  {name:<{wide}}  {verdict}"


def _kernel(session: WatchedSession) -> str:
    """Describe the kernel's view of the peer in a clause."""
    info = session.sample.info
    assert info is not None
    last = brief_duration(info.unheard)
    match session.peer:
        case "shut, answers":
            return "its kernel answers, its application reads nothing"
        case "shut, silent":
            return f"its window is shut, its kernel silent for {last}"
        case "dark":
            return f"{info.backoff} retransmissions, no answer for {last}"
        case "sends":
            return f"{info.backoff} retransmissions without an answer, but its own data arrives"
        case "gone":
            return f"{session.sample.state}: the client has closed its side"
        case _:
            return f"{info.unacked} packets in flight"
