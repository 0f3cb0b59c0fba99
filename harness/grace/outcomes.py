"""What came of a draw, for each contender that it was tried with: really, or replayed over what was recorded. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from harness import evidence
from harness.evidence import Stall
from harness.grace import replay
from harness.grace.confirming import AGREES_WITHIN
from harness.grace.model import Batch, Came, Contender, Draw, Tried
from harness.judge import Verdict, broken_off
from harness.recorder import INTERVAL
from harness.timeline import Timeline
from netns.units import show_duration

#: Where a reap hangs on whether a look came just before or just after an acknowledgement, either is right: looks are
#: moved by so much, seconds, each way.
_BRINK = 0.012
#: Moments are kept to the millisecond. Each look at a guest's clock moves it on by a quarter of a microsecond, and how
#: often it is looked at may differ by one between machines and days.
_DIGITS = 3
#: The state in which a client's kernel has said nothing of an end; and what the pod says where it has.
_OPEN, _TOLD = "ESTABLISHED", ("peer_closed", "socket_error")


@dataclass(frozen=True, slots=True)
class Watched:
    """One draw that was run, with what it showed."""

    draw: Draw
    verdict: Verdict
    timeline: Timeline
    stalls: tuple[Stall, ...]


def watched(draw: Draw, verdict: Verdict, timeline: Timeline) -> Watched:
    """A draw with what its run showed, and the stalls in that."""
    return Watched(draw, verdict, timeline, tuple(_stalls(timeline)))


def _stalls(timeline: Timeline) -> Iterator[Stall]:
    """Each until the acknowledgement that ended it, which came between two samples."""
    samples = evidence.established(timeline)
    for stall in evidence.stalls(samples):
        last = stall.samples[-1]
        after = samples[bisect.bisect_right(samples, last.t, key=lambda sample: sample.t) :][:1]
        yield replace(stall, until=replay.held_from(last, after[0])) if after else stall


def agrees(foretold: float | None, reaped_at: float | None) -> bool:
    """Whether a replay and the real run of a session are at one, moments in seconds."""
    if foretold is None or reaped_at is None:
        return foretold is reaped_at
    return abs(foretold - reaped_at) <= AGREES_WITHIN


def outcomes(batch: Batch, it: Watched) -> list[Tried]:
    """All that one run of a batch says, in the order of the contenders."""
    if batch.acting is not None:
        return [_really(batch, it, batch.acting)]
    return _replayed(batch, it)


def _really(batch: Batch, it: Watched, number: int) -> Tried:
    found = it.verdict.found
    came, why = _came(it)
    reaped_at = found.ended_at if came == "reaped" else None
    stalled = found.reason not in _TOLD
    tried = _tried(it, number, came=came, why=why, reaped_at=reaped_at, stalled=stalled, really=True)
    contender = batch.contenders[number]
    # An end that the client's kernel told of is not the detector's, and no replay's to foretell.
    if came not in {"reaped", "kept"} or contender.detector not in replay.RULES or not stalled:
        return tried
    return _with_foretold(tried, it, contender)


def _with_foretold(tried: Tried, it: Watched, contender: Contender) -> Tried:
    """What a replay of the same session says; on the brink, what it says too."""
    # What its own reap changed is not for the replay to see; a look is due within the poll.
    end = tried.reaped_at
    before = it.timeline if end is None else it.timeline.between(float("-inf"), end - INTERVAL)
    until = it.verdict.found.looked_until if end is None else end + contender.poll
    session = replay.seen(before, until)
    moments = [_reap(session, contender, shift) for shift in (0.0, -_BRINK, _BRINK)]
    foretold = next((moment for moment in moments if agrees(moment, end)), moments[0])
    return msgspec.structs.replace(tried, foretold=True, foretold_at=_rounded(foretold))


def _replayed(batch: Batch, it: Watched) -> list[Tried]:
    came, why = _came(it)
    if came == "unproved":
        return [_tried(it, n, came=came, why=why, reaped_at=None) for n in batch.replayed]
    found = it.verdict.found
    session = replay.seen(it.timeline, found.looked_until if found.ended_at is None else found.ended_at)
    tried = []
    for number in batch.replayed:
        contender = batch.contenders[number]
        moment = _reap(session, contender)
        if moment is None:
            # Of the pod that watches nobody it is the end that the client's kernel told it of.
            by_itself = found.ended_at if came == "reaped" else None
            tried.append(_tried(it, number, came=came, why=why, reaped_at=by_itself, stalled=by_itself is None))
        else:
            why_reaped = f"reaped at {moment:.1f}s, {show_duration(contender.grace)} without an acknowledgement"
            stalled = session.at(moment).state == _OPEN
            why_reaped = why_reaped if stalled else f"reaped at {moment:.1f}s, its client had ended the connection"
            tried.append(_tried(it, number, came="reaped", why=why_reaped, reaped_at=moment, stalled=stalled))
    return tried


def _reap(session: replay.Seen, contender: Contender, shift: float = 0.0) -> float | None:
    assert contender.detector is not None
    rule = replay.RULES[contender.detector]
    return replay.reaped_at(session, rule, contender.grace, contender.poll, shift)


def _came(it: Watched) -> tuple[Came, str]:
    """What became of the session itself, if the run proves anything."""
    verdict = it.verdict
    broken = broken_off(it.timeline)
    if broken is not None:
        return "unproved", broken[1]
    return ("unproved" if verdict.word == "inconclusive" else verdict.found.outcome), verdict.why


def _tried(
    it: Watched,
    number: int,
    *,
    came: Came,
    why: str,
    reaped_at: float | None,
    stalled: bool = True,
    really: bool = False,
) -> Tried:
    found = it.verdict.found
    longest = max(it.stalls, key=lambda stall: stall.seconds, default=None)
    lost_in = longest if reaped_at is None else _stall_before(it.stalls, reaped_at) if stalled else None
    return Tried(
        draw=it.draw.number,
        contender=number,
        really=really,
        came=came,
        why=why,
        fault_at=_rounded(found.fault_at),
        onset=_rounded(lost_in.onset if lost_in else None),
        reaped_at=_rounded(reaped_at),
        longest_stall=round(longest.seconds if longest else 0.0, _DIGITS),
        duration=round(found.looked_until, _DIGITS),
        heard_at=_rounded(_heard_before(it.timeline, lost_in.onset) if lost_in else None),
    )


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, _DIGITS)


def _heard_before(timeline: Timeline, onset: float) -> float | None:
    """When a byte was last acknowledged until then: an onset is only dated to the sample that first shows it."""
    samples = evidence.established(timeline)
    first = bisect.bisect_right(samples, onset, key=lambda sample: sample.t)
    for before, sample in pairwise(reversed(samples[: first + 1])):
        if sample.bytes_acked != before.bytes_acked:
            return min(onset, replay.held_from(sample, before))
    return None


def _stall_before(stalls: Sequence[Stall], moment: float) -> Stall | None:
    """The last that began before this moment."""
    return next((stall for stall in reversed(stalls) if stall.onset <= moment), None)
