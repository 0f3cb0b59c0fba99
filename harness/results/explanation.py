"""Explain a failed or inconclusive run: its end, the likely cause, what holds the session, what programs said. Pure.

The terminal, pytest, results.json, junit.xml, GitHub and the report take their texts from here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import msgspec

from halfopen.model import printed_stacks, server_output
from halfopen.model.kept_output import TRACEBACK
from halfopen.model.profile import Profile
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.verdict import causes, ends
from halfopen.verdict.ends import SessionEnd
from halfopen.verdict.findings import Findings
from halfopen.verdict.judge import Verdict

#: Most lines of threads in a story, and most characters of a command.
_MOST_THREADS, _LONGEST_COMMAND = 18, 90
#: Most lines of output in a story.
_MOST_SAID = 15


#: Line above a server's output.
SERVER_SAID = "server said:"


class Explanation(msgspec.Struct, frozen=True):
    """The circumstances of one run in words; empty for one that passed."""

    ended: str | None = None
    """The end of the session, to follow the word "ended"; None if the server still has it."""
    cause: str | None = None
    """The likely cause of the end; None if no rule fits."""
    held_by: list[str] = []
    """The processes that hold a session that should be over, and what they do with it."""
    threads: list[str] = []
    """Their threads, with stacks where these can be read."""
    server_said: list[str] = []
    """The server's output around the end, or around the fault if nothing ended, and its tracebacks."""
    proxy_said: dict[str, list[str]] = {}
    """The same of each proxy in between."""


def explain(timeline: Timeline, verdict: Verdict, profile: Profile | None = None) -> Explanation:
    """Return the explanation of one run."""
    if verdict.word not in ("failed", "inconclusive"):
        return Explanation()
    found = verdict.found
    moment = _moment(timeline, found)
    proxy_said: dict[str, list[str]] = {}
    for line in server_output.of_proxies(timeline, moment):
        proxy_said.setdefault(line.proxy, []).append(line.text)
    return Explanation(
        ended=ends.ending(timeline, found),
        cause=causes.cause(timeline, found, profile),
        held_by=list(_held_by(timeline, found, profile)),
        threads=_threads(timeline),
        server_said=[
            *server_output.said(timeline, moment),
            *(server_output.said_later(timeline, moment) if moment == found.fault_at else []),
        ],
        proxy_said=proxy_said,
    )


def _moment(timeline: Timeline, found: Findings) -> float:
    """Return the moment that counts: of the end, of a server that exited, of a refusal, or of the first fault."""
    gone = timeline.first("target", "exited", "serving_process_ended")
    refused = timeline.first("client", "refused", "unanswered", "unreachable")
    noted = [event.t for event in (gone, refused) if event is not None]
    known = [moment for moment in (found.ended_at, *noted, found.fault_at) if moment is not None]
    return known[0] if known else found.looked_until


def _held_by(timeline: Timeline, found: Findings, profile: Profile | None) -> Iterator[str]:
    """Describe who holds a session that should be over, and what its server does with it."""
    holders = {event.data["pid"]: event.data for event in timeline.of("target", "holder")}
    if not holders:
        return
    for pid, holder in holders.items():
        command = textwrap.shorten(holder["command"], _LONGEST_COMMAND, placeholder=" ...")
        yield f"{holder['process']} (pid {pid}): {command}" if command else f"{holder['process']} (pid {pid})"
    last = timeline.samples[-1]
    if last.outq:
        yield f"{show_bytes(last.outq)} wait in its socket{_behind(timeline, profile)}"
    elif found.ended_at is None:
        yield _unanswered(SessionEnd(timeline, found, profile))
    if last.rqueue:
        yield f"it leaves {show_bytes(last.rqueue)} of its input unread"


def _behind(timeline: Timeline, profile: Profile | None) -> str:
    """Return what waits behind a queue, as the end of a sentence: a ping, if the server was seen to send any."""
    if profile is not None and profile.pings_every is not None:
        return f"; a ping waits behind them (it pings every {show_duration(profile.pings_every)})"
    if (profile is not None and profile.pings) or timeline.first("client", "ping_received") is not None:
        return "; a ping waits behind them"
    return ", and it sends no pings" if profile is not None and profile.ended_at is None else ""


def _unanswered(seen: SessionEnd) -> str:
    since = "" if seen.heard_at is None else f" since the client was last heard at {seen.heard_at:.1f}s"
    if count := len(seen.small_sends):
        return f"it sent {count} small message{'s' * (count > 1)}, as pings are,{since}, and got no answer"
    if seen.has_sent_since_heard:
        return f"nothing is queued: the client's kernel took in all that it sent, the last at {seen.sent_at:.1f}s"
    return f"nothing is queued, and it sent nothing{since}, so nothing could fail"


def _threads(timeline: Timeline) -> list[str]:
    printed = printed_stacks.printed(timeline)
    if printed:
        return printed_stacks.telling(printed)
    holders = {event.data["pid"]: event.data for event in timeline.of("target", "holder")}
    return [line for holder in holders.values() for line in holder["threads"]]


def lines(explained: Explanation, why: str, whose: str = "") -> list[str]:
    """Return an explanation as the lines of a story, without what ``why`` says already.

    ``whose`` names the client that is explained, if that is not the subject.
    """
    texts: list[str] = []
    ended = explained.ended or ""
    for head, sentences in (
        ("ended:", [ended] if ended and ended.partition(" at ")[0].strip() not in why else []),
        ("cause:", [explained.cause] if explained.cause else []),
        ("held by:", [*explained.held_by, *_first(explained.threads)] if explained.held_by else []),
    ):
        texts += listed(head, sentences)
    for head, said in (("server", explained.server_said), *explained.proxy_said.items()):
        texts += [f"{head} said:", *(f"    {line}" for line in _last(said))] if said else []
    return [*listed("about:", [whose] if whose and texts else []), *texts]


def listed(head: str, sentences: Sequence[str]) -> list[str]:
    """Return sentences with a head before the first."""
    return [f"{head if not number else '':9} {sentence}" for number, sentence in enumerate(sentences)]


def _last(said: Sequence[str]) -> list[str]:
    """Return the last lines, or all if there is a traceback, which is shown whole."""
    if len(said) <= _MOST_SAID or any(TRACEBACK in line for line in said):
        return list(said)
    return [f"({len(said) - _MOST_SAID} more lines in results.json)", *said[-_MOST_SAID:]]


def _first(threads: Sequence[str]) -> list[str]:
    if len(threads) <= _MOST_THREADS:
        return list(threads)
    return [*threads[:_MOST_THREADS], f"({len(threads) - _MOST_THREADS} more lines in results.json)"]
