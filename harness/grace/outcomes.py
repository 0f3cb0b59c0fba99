"""The results of a draw for each candidate, from the real run or from a replay of the recording. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from halfopen.grace import replay
from halfopen.grace.confirmation import DATED_WITHIN, agree
from halfopen.grace.trials import Batch, Came, Candidate, Draw, Trial
from halfopen.model import evidence
from halfopen.model.evidence import Stall
from halfopen.model.timeline import Sample, Timeline
from halfopen.netns.units import show_duration
from halfopen.run.recorder import INTERVAL
from halfopen.verdict.judge import Verdict, broken_off

#: If a reap depends on whether a sample came just before or just after an acknowledgement, either result is right.
#: Seconds to shift samples by, each way: the error in the date of an acknowledgement.
_BRINK = DATED_WITHIN
#: Milliseconds. Each reading of a guest's clock advances it by a quarter of a microsecond, and the number of readings
#: may differ by one between machines and days.
_DIGITS = 3
#: The state of a connection whose client's kernel has not ended it.
_OPEN = "ESTABLISHED"
#: Reasons that the pod gives if a detector ended a session. Otherwise a call on its socket failed. Other servers give
#: none.
_BY_DETECTOR = ("send_stall", "no_answer", "unreachable", "ping_timeout", "timed_out")
#: The shortest stall that counts as one, in seconds. Longer than a packet and its answer take.
_WORTH = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A draw that was run, and its evidence."""

    draw: Draw
    verdict: Verdict
    timeline: Timeline
    samples: tuple[Sample, ...]
    """The samples of the server's open socket (halfopen.model.evidence.established)."""
    stalls: tuple[Stall, ...]

    @property
    def longest(self) -> Stall | None:
        """The longest of the stalls, None without any."""
        return max(self.stalls, key=lambda stall: stall.seconds, default=None)


def watched(draw: Draw, verdict: Verdict, timeline: Timeline) -> Watched:
    """Return a draw with its run's evidence, and the stalls in that."""
    samples = evidence.established(timeline)
    return Watched(draw, verdict, timeline, samples, tuple(_stalls(samples)))


def _stalls(samples: Sequence[Sample]) -> Iterator[Stall]:
    """Yield stalls, each until the acknowledgement that ended it, which came between two samples."""
    for stall in evidence.stalls(samples):
        last = stall.samples[-1]
        after = samples[bisect.bisect_right(samples, last.t, key=lambda sample: sample.t) :][:1]
        yield replace(stall, until=replay.held_from(last, after[0])) if after else stall


def outcomes(batch: Batch, it: Watched) -> list[Trial]:
    """Return all results of one run of a batch, in the order of the candidates."""
    if batch.acting is not None:
        return [_really(batch, it, batch.acting)]
    return _replayed(batch, it)


def _really(batch: Batch, it: Watched, number: int) -> Trial:
    found, candidate = it.verdict.found, batch.candidates[number]
    came, why = _came(it)
    if came == "kept" and (open_still := _open_still(it)):
        came, why = "unproved", open_still
    reaped_at = found.ended_at if came == "reaped" else None
    stalled = not _was_told(it, candidate)
    tried = _tried(it, number, came=came, why=why, reaped_at=reaped_at, stalled=stalled, really=True)
    # An end that the client's kernel reported is not the detector's, so a replay cannot predict it.
    if tried.came not in {"reaped", "kept"} or replay.rule_of(candidate.detector) is None or not stalled:
        return tried
    return _with_foretold(tried, it, candidate)


def _was_told(it: Watched, candidate: Candidate) -> bool:
    """True if the client's kernel ended the session, not a detector after a stall."""
    found, samples = it.verdict.found, it.samples
    if found.ended_at is None:
        return False
    if found.reason == "peer_closed" or (samples and samples[-1].state != _OPEN):
        return True
    # A reset and an expired kernel timer end it alike. But a reset comes at once, a timer's end after a stall.
    last = _stall_before(it.stalls, found.ended_at)
    lasted = found.ended_at - last.onset if last is not None and last.goes_on else 0.0
    return found.reason not in _BY_DETECTOR and lasted < min(_WORTH, candidate.grace / 2)


def _with_foretold(tried: Trial, it: Watched, candidate: Candidate) -> Trial:
    """Add the prediction of a replay of the same session. In a borderline case either prediction may match."""
    # The replay must not see the effects of the session's own reap. The next sample is due within the poll.
    end = tried.reaped_at
    before = it.timeline if end is None else it.timeline.between(float("-inf"), end - INTERVAL)
    until = it.verdict.found.looked_until if end is None else end + candidate.poll
    session = replay.seen(before, until)
    moments = [_reap(session, candidate, shift) for shift in (0.0, -_BRINK, _BRINK)]
    foretold = next((moment for moment in moments if agree(moment, end)), moments[0])
    return msgspec.structs.replace(tried, foretold=True, foretold_at=_rounded(foretold))


def _replayed(batch: Batch, it: Watched) -> list[Trial]:
    came, why = _came(it)
    if broken_off(it.timeline):
        return [_tried(it, number, came=came, why=why, reaped_at=None) for number in batch.replayed]
    found = it.verdict.found
    session = replay.seen(it.timeline, found.looked_until if found.ended_at is None else found.ended_at)
    return [_foretold(it, session, number, batch.candidates[number], came, why) for number in batch.replayed]


def _foretold(
    it: Watched, session: replay.RecordedSession, number: int, candidate: Candidate, came: Came, why: str
) -> Trial:
    """Predict the result with this candidate. ``came`` and ``why`` are the result with no detector acting."""
    moment = _reap(session, candidate)
    # A reaped live session needs no further proof (halfopen.verdict.judge): its later course is not observable.
    if came == "unproved" and (moment is None or it.draw.part == "dead"):
        return _tried(it, number, came=came, why=why, reaped_at=None)
    if moment is None:
        if came == "kept" and (open_still := _open_still(it)):
            return _tried(it, number, came="unproved", why=open_still, reaped_at=None)
        # The pod runs without a detector, so it ended the session because the client's kernel reported the end.
        by_itself = it.verdict.found.ended_at if came == "reaped" else None
        tried = _tried(it, number, came=came, why=why, reaped_at=by_itself, stalled=by_itself is None)
    else:
        stalled = session.at(moment).state == _OPEN
        said = f"{show_duration(candidate.grace)} without an acknowledgement"
        why = f"reaped at {moment:.1f}s, {said if stalled else 'its client had ended the connection'}"
        tried = _tried(it, number, came="reaped", why=why, reaped_at=moment, stalled=stalled)
    return _with_other_looks(tried, it, session, candidate)


def _with_other_looks(tried: Trial, it: Watched, session: replay.RecordedSession, candidate: Candidate) -> Trial:
    """Add the results for samples at other moments."""
    brink = {_rounded(_reap(session, candidate, shift)) for shift in (-_BRINK, _BRINK)} - {tried.reaped_at}
    others = tuple(sorted(brink, key=lambda moment: (moment is None, moment)))
    if it.draw.part != "staircase":
        return msgspec.structs.replace(tried, brink=others)
    heard = _heard_before(it.samples, it.longest.onset) if it.longest else None
    rule = replay.rule_of(candidate.detector)
    assert rule is not None
    phases = replay.at_all_phases(session, rule, candidate.grace, candidate.poll, heard)
    return msgspec.structs.replace(tried, brink=others, phases=phases)


def _open_still(it: Watched) -> str | None:
    """Return why a live client's outcome is unknown: observation ended in its longest stall so far."""
    if it.draw.part == "dead" or not it.stalls:
        return None
    *others, last = it.stalls
    if not last.goes_on or last.seconds < max(_WORTH, *(stall.seconds for stall in others), 0.0):
        return None
    lasted = show_duration(round(last.seconds, 1))
    return f"it had stalled for {lasted} when nobody looked any more: hold it for longer"


def _reap(session: replay.RecordedSession, candidate: Candidate, shift: float = 0.0) -> float | None:
    rule = replay.rule_of(candidate.detector)
    assert rule is not None
    return replay.reaped_at(session, rule, candidate.grace, candidate.poll, shift)


def _came(it: Watched) -> tuple[Came, str]:
    """The session's own outcome, if the run proves anything."""
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
) -> Trial:
    found = it.verdict.found
    if it.draw.part == "dead" and reaped_at is not None and (found.fault_at is None or reaped_at < found.fault_at):
        came, why, reaped_at = "unproved", f"reaped at {reaped_at:.1f}s, before anything was done to its client", None
    longest = it.longest
    lost_in = longest if reaped_at is None else _stall_before(it.stalls, reaped_at) if stalled else None
    return Trial(
        draw=it.draw.number,
        candidate=number,
        really=really,
        came=came,
        why=why,
        fault_at=_rounded(found.fault_at),
        onset=_rounded(lost_in.onset if lost_in else None),
        reaped_at=_rounded(reaped_at),
        longest_stall=round(longest.seconds if longest else 0.0, _DIGITS),
        duration=round(found.looked_until, _DIGITS),
        heard_at=_rounded(_heard_before(it.samples, lost_in.onset) if lost_in else None),
    )


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, _DIGITS)


def _heard_before(samples: Sequence[Sample], onset: float) -> float | None:
    """Return the moment of the last acknowledgement before the onset.

    An onset is only dated to the sample that first shows it.
    """
    first = bisect.bisect_right(samples, onset, key=lambda sample: sample.t)
    for before, sample in pairwise(reversed(samples[: first + 1])):
        if sample.bytes_acked != before.bytes_acked:
            return min(onset, replay.held_from(sample, before))
    return None


def _stall_before(stalls: Sequence[Stall], moment: float) -> Stall | None:
    """Return the last stall that began before this moment."""
    return next((stall for stall in reversed(stalls) if stall.onset <= moment), None)
