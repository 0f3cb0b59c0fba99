"""The lines of a server, and of the proxies in front of it, around a moment of a timeline. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from halfopen.model.kept_output import AROUND, TRACEBACK
from halfopen.model.printed_stacks import TIME_OF_DAY
from halfopen.model.timeline import Event, Timeline

#: Most lines around a moment, and most tracebacks.
_MOST_LINES, _MOST_TRACEBACKS = 40, 3
#: Most lines of the end of a run in which the session did not end.
_MOST_LATER = 8
#: A line of nginx's error log, without its date: level, process#thread, connection (ngx_log.c).
_NGINX = re.compile(r"^\[(debug|info|notice|warn|error|crit|alert|emerg)\] \d+#\d+: (\*\d+ )?(?P<text>.*)$")
#: A line of HAProxy's httplog or tcplog: date, frontend, backend/server, timers, termination code, counts
#: (configuration manual, 8.2).
_HAPROXY = re.compile(
    r"\[\d\d/\w{3}/\d{4}:[\d:.]+\] (?P<text>\S+ \S+/\S+ .*? (?P<code>[-A-Za-z]{2})[-A-Za-z]{0,2} \d+/\d+/.*)$"
)
#: An exception of JavaScript or Java, the frame below it, and a panic that Go's net/http recovers from.
_THROWN = re.compile(r"^(Uncaught )?[\w.$]*(Error|Exception)\b")
_FRAME = re.compile(r"^\s+at ")
_RECOVERED = re.compile(r"^http: panic serving ")
#: Numbers and addresses, which differ each time that the same exception is raised.
_NUMBER = re.compile(r"\b(0x[0-9a-f]+|\d+)\b")
#: Words that join chained tracebacks (traceback.TracebackException).
_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")


class OutputLine(NamedTuple):
    """A line of a server's output, without the time of day."""

    t: float
    text: str


class ProxyLine(NamedTuple):
    """A line of a proxy's log, without the time of day."""

    proxy: str
    text: str


def said(timeline: Timeline, moment: float) -> list[str]:
    """Return what a server said around a moment: its lines within two seconds, and its tracebacks before, whole.

    Of many lines only the last are returned, and a note says how many are missing.
    """
    own = list(_own(timeline, moment + AROUND))
    near = [number for number, line in enumerate(own) if line.t >= moment - AROUND]
    shown = set(near[-_MOST_LINES:])
    for block in _blocks(own)[-_MOST_TRACEBACKS:]:
        shown.update(block)
    dropped = timeline.first("target", "output_dropped")
    notes = [f"({dropped.data['lines']} lines of its output are not kept)"] if dropped is not None else []
    if len(near) > _MOST_LINES:
        notes.append(f"({len(near) - _MOST_LINES} more lines within {AROUND:g}s are in the timeline)")
    return [*notes, *(own[number].text for number in sorted(shown))]


def said_later(timeline: Timeline, moment: float) -> list[str]:
    """Return a server's last lines, if they came more than two seconds after a moment, below a note of their time."""
    later = [line for line in _own(timeline, math.inf) if line.t > moment + AROUND][-_MOST_LATER:]
    return [f"(its last lines, from {later[0].t:.0f}s on:)", *(line.text for line in later)] if later else []


def near(timeline: Timeline, moment: float) -> list[str]:
    """Return the server's own lines within two seconds of a moment."""
    return [line.text for line in _own(timeline, moment + AROUND) if line.t >= moment - AROUND]


def exceptions(timeline: Timeline, moment: float) -> list[str]:
    """Return the exceptions, with their texts, whose tracebacks ended within two seconds of a moment."""
    return [line.text.strip() for line in _raised(timeline, moment + AROUND) if line.t >= moment - AROUND]


def new_exceptions(timeline: Timeline, moment: float) -> list[str]:
    """Return those of :func:`exceptions` that did not occur before: one that recurs had no such effect then."""
    raised = _raised(timeline, moment + AROUND)
    known = {_NUMBER.sub("0", line.text.strip()) for line in raised if line.t < moment - AROUND}
    return [text for text in exceptions(timeline, moment) if _NUMBER.sub("0", text) not in known]


def _raised(timeline: Timeline, until: float) -> list[OutputLine]:
    """Return the last lines of tracebacks until a moment, and other lines that name an exception."""
    own = list(_own(timeline, until))
    lasts = [own[block[-1]] for block in _blocks(own)]
    others = [line for line, below in pairwise(own) if _THROWN.match(line.text) and _FRAME.match(below.text)]
    recovered = [line for line in own if _RECOVERED.match(line.text)]
    return sorted((*lasts, *others, *recovered))


def of_proxies(timeline: Timeline, moment: float) -> list[ProxyLine]:
    """Return the lines of proxies within two seconds of a moment: of the one in front, or of one in the server."""
    lines = []
    for event in timeline.of("edge", "output"):
        text, proxy = _text(event), str(event.data.get("proxy", "the proxy"))
        lines.append((event.t, _of_proxy(text) or ProxyLine(proxy, text)))
    printed = ((event.t, _of_proxy(_text(event))) for event in timeline.of("target", "output"))
    lines += [(t, line) for t, line in printed if line is not None]
    return [line for t, line in sorted(lines, key=lambda pair: pair[0]) if abs(t - moment) <= AROUND]


def _of_proxy(text: str) -> ProxyLine | None:
    """Return a line of a server's output as a proxy's, if it has the form of one."""
    if (match := _NGINX.match(text)) is not None:
        return ProxyLine("nginx", match["text"])
    if (match := _HAPROXY.search(text)) is not None:
        return ProxyLine("haproxy", f"{match['text']} (termination {match['code']})")
    return None


def _own(timeline: Timeline, until: float) -> Iterator[OutputLine]:
    """Yield the lines that are the server's own: no proxy's, and no stacks that it was asked for."""
    asked = timeline.first("target", "stacks_asked")
    end = until if asked is None else min(until, asked.t)
    for event in timeline.of("target", "output"):
        text = _text(event)
        if event.t <= end and text.strip() and _of_proxy(text) is None:
            yield OutputLine(event.t, text)


def _text(event: Event) -> str:
    return TIME_OF_DAY.sub("", str(event.data["text"]).rstrip())


def _blocks(lines: Sequence[OutputLine]) -> list[list[int]]:
    """Return the places of the lines of each traceback, from its head to its exception, chained ones as one block."""
    blocks: list[list[int]] = []
    block: list[int] | None = None
    is_chained = False
    for number, line in enumerate(lines):
        if line.text.lstrip(" |+").startswith(TRACEBACK):
            if is_chained and blocks:
                block = blocks.pop()
            block = [*(block or []), number]
        elif block is not None:
            block.append(number)
            if not line.text[0].isspace():
                blocks.append(block)
                block = None
            is_chained = False
        elif line.text.strip().startswith(_CHAINED) and blocks:
            blocks[-1].append(number)
            is_chained = True
    return blocks
