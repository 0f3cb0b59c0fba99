"""Compare the end of a session with the end of one that nothing disturbed. Pure.

A server that ends every session at the same age has not noticed that a client is dead. And if there is doubt that it
was wrong to end the undisturbed session, there is doubt in each session that ended likewise, whatever the fault.
"""

from __future__ import annotations

import dataclasses

from halfopen.model.profile import Profile
from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import Scenario
from halfopen.verdict import ends
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Verdict, broken_off, doubt, has_spoken, silence

#: Seconds by which the ages of sessions that a server ends likewise may differ: its timers, its poll, the sampling.
_APART = 1.0
#: Seconds of silence, of a server that streams, that no client is spared.
_SILENT = 15.0
#: Seconds for which a server that wants heartbeats waits at least for the first.
_HEARTBEAT = 3.0


def reconsidered(verdict: Verdict, timeline: Timeline, undisturbed: Timeline, scenario: Scenario) -> Verdict:
    """Return the verdict on a session in the light of an undisturbed one, with its timeline and its scenario."""
    usual = find(undisturbed, scenario)
    ended_at = verdict.found.ended_at
    if usual.ended_at is None or ended_at is None or _is_disturbed(undisturbed, usual.ended_at):
        return verdict
    if broken_off(timeline) or ends.fatal(timeline, verdict.found) or ends.fatal(undisturbed, usual):
        return verdict
    if verdict.klass == "true_reap" and verdict.word == "passed" and ended_at >= usual.ended_at - _APART:
        at = show_duration(round(usual.ended_at, 1))
        why = f"nothing is proved: the server ends an undisturbed session at {at} too"
        return dataclasses.replace(verdict, word="inconclusive", why=why)
    if verdict.klass != "false_reap" or verdict.word != "failed":
        return verdict
    closed, usually = (line.first("client", "close_received") for line in (timeline, undisturbed))
    if not _alike(closed, usually, ended_at - usual.ended_at):
        return verdict
    doubts = doubt(undisturbed, usual)
    is_mute = usual.ended_at >= _HEARTBEAT and not (
        has_spoken(undisturbed, usual) or has_spoken(timeline, verdict.found)
    )
    if doubts is None and usually is not None and _says_nothing(usually) and is_mute:
        doubts = silence(usually)
    if doubts is None:
        return verdict
    return dataclasses.replace(verdict, word="inconclusive", why=f"as undisturbed, {doubts}")


def unserved(verdict: Verdict, timeline: Timeline, profile: Profile) -> Verdict:
    """Return the verdict on a live session that was kept, in the light of what the server sends undisturbed.

    A server may keep the socket of a client that it no longer serves. Its queue is then empty though it streams.
    """
    found = verdict.found
    if (verdict.klass, verdict.word) != ("true_keep", "passed") or not profile.streams or found.gap is None:
        return verdict
    last, gap = (timeline.samples[-1] if timeline.samples else None), found.gap
    over_at = max((span.until for span in found.spans), default=0.0)
    silent_from = max(gap.begun, over_at)
    lasted = found.looked_until - silent_from
    goes_on = gap.begun + gap.seconds >= found.looked_until - _APART
    if not goes_on or lasted < max(_SILENT, 2 * profile.longest_pause) or last is None or last.outq:
        return verdict
    rate = show_bytes(round(profile.rate))
    why = (
        f"the socket of a live client was kept, but nothing was sent to it in the last {show_duration(round(lasted))}, "
        f"though the server streams {rate}/s undisturbed"
    )
    return dataclasses.replace(verdict, word="failed", why=why)


def _is_disturbed(undisturbed: Timeline, ended_at: float) -> bool:
    begun = undisturbed.first("fault", "begun")
    return begun is not None and begun.t <= ended_at


def _alike(closed: Event | None, usually: Event | None, later: float) -> bool:
    """True if two sessions ended with the same code and reason or, without a close frame, not before that age."""
    if closed is None or usually is None:
        return later >= -_APART
    return all(closed.data.get(key) == usually.data.get(key) for key in ("code", "reason"))


def _says_nothing(closed: Event) -> bool:
    return closed.data.get("code") in (None, 1000, 1005) and not closed.data.get("reason")
