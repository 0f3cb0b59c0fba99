"""The results of a draw for each candidate, from the real run or from a replay of the recording. Pure."""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from halfopen.grace import replay
from halfopen.grace.confirmation import DATED_WITHIN, agree
from halfopen.grace.sweep import Batch, Candidate, Draw, Trial, TrialOutcome
from halfopen.model import evidence
from halfopen.model.evidence import Stall
from halfopen.model.timeline import Sample, Timeline
from halfopen.netns.units import show_duration
from halfopen.run.recorder import INTERVAL
from halfopen.verdict.judge import Verdict, broken_off

#: Shifts of all samples in seconds. If a reap depends on whether a sample came just before or just after an
#: acknowledgement, either result is right. The size is the error in the date of an acknowledgement.
_SHIFTS = (-DATED_WITHIN, DATED_WITHIN)
#: Milliseconds. Each reading of a guest's clock advances it by a quarter of a microsecond, and the number of readings
#: may differ by one between machines and days.
_DIGITS = 3
#: The state of a connection whose client's kernel has not ended it.
_OPEN = "ESTABLISHED"
#: Reasons that the pod gives if a detector ended a session. Otherwise a call on its socket failed. Other servers give
#: none.
_BY_DETECTOR = ("send_stall", "no_answer", "unreachable", "ping_timeout", "timed_out")
#: The shortest stall that counts as one, in seconds. Longer than a packet and its answer take.
_SHORTEST_STALL = 2.0


@dataclass(frozen=True)
class DrawRun:
    """A draw that was run, and its evidence."""

    draw: Draw
    verdict: Verdict
    timeline: Timeline

    @functools.cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples of the server's open socket."""
        return evidence.established(self.timeline)

    @functools.cached_property
    def stalls(self) -> tuple[Stall, ...]:
        """The stalls, each until the acknowledgement that ended it, which came between two samples."""
        return tuple(self._until_acknowledged(stall) for stall in evidence.stalls(self.samples))

    def _until_acknowledged(self, stall: Stall) -> Stall:
        last = stall.samples[-1]
        after = bisect.bisect_right(self.samples, last.t, key=lambda sample: sample.t)
        return replace(stall, until=replay.held_from(last, self.samples[after])) if self.samples[after:] else stall

    @property
    def longest_stall(self) -> Stall | None:
        """The longest of the stalls; None without any."""
        return max(self.stalls, key=lambda stall: stall.seconds, default=None)

    def stall_before(self, moment: float) -> Stall | None:
        """Return the last stall that began before this moment."""
        return next((stall for stall in reversed(self.stalls) if stall.onset <= moment), None)

    def heard_before(self, onset: float) -> float | None:
        """Return the moment of the last acknowledgement before the onset.

        An onset is only dated to the sample that first shows it.
        """
        first = bisect.bisect_right(self.samples, onset, key=lambda sample: sample.t)
        for sample, before in pairwise(reversed(self.samples[: first + 1])):
            if before.bytes_acked != sample.bytes_acked:
                return min(onset, replay.held_from(before, sample))
        return None

    @functools.cached_property
    def own_outcome(self) -> tuple[TrialOutcome, str]:
        """The outcome of the run as such, and the reason. It is unproved if the run proves nothing."""
        if (broken := broken_off(self.timeline)) is not None:
            return "unproved", broken[1]
        outcome = self.verdict.found.outcome
        if self.verdict.word == "inconclusive" or outcome == "refused":
            return "unproved", self.verdict.why
        if outcome == "kept" and self.draw.part != "dead" and self.stalls:
            # It is unknown if a live client's longest stall would have ended.
            *others, last = self.stalls
            if last.goes_on and last.seconds >= max(_SHORTEST_STALL, *(stall.seconds for stall in others), 0.0):
                lasted = show_duration(round(last.seconds, 1))
                return "unproved", f"it was still stalled after {lasted} when observation ended; hold it for longer"
        return outcome, self.verdict.why


def outcomes(batch: Batch, run: DrawRun) -> list[Trial]:
    """Return all results of one run of a batch, in the order of the candidates."""
    if batch.acting is not None:
        return [_real(run, batch.acting, batch.candidates[batch.acting])]
    findings = run.verdict.found
    session = replay.seen(run.timeline, findings.looked_until if findings.ended_at is None else findings.ended_at)
    return [_replayed(run, session, number, batch.candidates[number]) for number in batch.replayed]


def _real(run: DrawRun, number: int, candidate: Candidate) -> Trial:
    outcome, why = run.own_outcome
    reaped_at = run.verdict.found.ended_at if outcome == "reaped" else None
    stalled = not _ended_by_client(run, candidate)
    trial = _trial(run, number, outcome, why, reaped_at=reaped_at, stalled=stalled, real=True)
    # An end that the client's kernel reported is not the detector's, so a replay cannot predict it.
    if trial.outcome not in {"reaped", "kept"} or replay.rule_of(candidate.detector) is None or not stalled:
        return trial
    # Add the prediction of a replay of the same session. In a borderline case either prediction may match. The replay
    # must not see the effects of the session's own reap. The next sample is due within the poll.
    end = trial.reaped_at
    before = run.timeline if end is None else run.timeline.between(float("-inf"), end - INTERVAL)
    until = run.verdict.found.looked_until if end is None else end + candidate.poll
    session = replay.seen(before, until)
    moments = [_reap(session, candidate, shift) for shift in (0.0, *_SHIFTS)]
    predicted_at = next((moment for moment in moments if agree(moment, end)), moments[0])
    return msgspec.structs.replace(trial, predicted=True, predicted_at=_rounded(predicted_at))


def _ended_by_client(run: DrawRun, candidate: Candidate) -> bool:
    """True if the client's kernel ended the session, not a detector after a stall."""
    findings = run.verdict.found
    if findings.ended_at is None:
        return False
    if findings.reason == "peer_closed" or (run.samples and run.samples[-1].state != _OPEN):
        return True
    # A reset and an expired kernel timer end it alike. But a reset comes at once, a timer's end after a stall.
    last = run.stall_before(findings.ended_at)
    lasted = findings.ended_at - last.onset if last is not None and last.goes_on else 0.0
    return findings.reason not in _BY_DETECTOR and lasted < min(_SHORTEST_STALL, candidate.grace / 2)


def _replayed(run: DrawRun, session: replay.RecordedSession, number: int, candidate: Candidate) -> Trial:
    """Predict the result with this candidate."""
    outcome, why = run.own_outcome
    moment = None if broken_off(run.timeline) else _reap(session, candidate)
    # A reaped live session needs no further proof (halfopen.verdict.judge): its later course is not observable.
    if outcome == "unproved" and (moment is None or run.draw.part == "dead"):
        return _trial(run, number, outcome, why)
    if moment is None:
        # The pod runs without a detector, so it ended the session because the client's kernel reported the end.
        ended_at = run.verdict.found.ended_at if outcome == "reaped" else None
        trial = _trial(run, number, outcome, why, reaped_at=ended_at, stalled=ended_at is None)
    else:
        stalled = session.at(moment).state == _OPEN
        said = f"{show_duration(candidate.grace)} without an acknowledgement"
        why = f"reaped at {moment:.1f}s, {said if stalled else 'its client had ended the connection'}"
        trial = _trial(run, number, "reaped", why, reaped_at=moment, stalled=stalled)
    moments = {_rounded(_reap(session, candidate, shift)) for shift in _SHIFTS} - {trial.reaped_at}
    alternatives = tuple(sorted(moments, key=lambda moment: (moment is None, moment)))
    if run.draw.part != "staircase":
        return msgspec.structs.replace(trial, alternatives=alternatives)
    heard = run.heard_before(run.longest_stall.onset) if run.longest_stall else None
    rule = replay.rule_of(candidate.detector)
    assert rule is not None
    phases = replay.at_all_phases(session, rule, candidate.grace, candidate.poll, heard)
    return msgspec.structs.replace(trial, alternatives=alternatives, phases=phases)


def _reap(session: replay.RecordedSession, candidate: Candidate, shift: float = 0.0) -> float | None:
    rule = replay.rule_of(candidate.detector)
    assert rule is not None
    return replay.reaped_at(session, rule, candidate.grace, candidate.poll, shift)


def _trial(
    run: DrawRun,
    number: int,
    outcome: TrialOutcome,
    why: str,
    *,
    reaped_at: float | None = None,
    stalled: bool = True,
    real: bool = False,
) -> Trial:
    findings, longest = run.verdict.found, run.longest_stall
    fault_at = findings.fault_at
    if run.draw.part == "dead" and reaped_at is not None and (fault_at is None or reaped_at < fault_at):
        why = f"reaped at {reaped_at:.1f}s, before anything was done to its client"
        outcome, reaped_at = "unproved", None
    lost_in = longest if reaped_at is None else run.stall_before(reaped_at) if stalled else None
    return Trial(
        draw=run.draw.number,
        candidate=number,
        real=real,
        outcome=outcome,
        why=why,
        fault_at=_rounded(fault_at),
        onset=_rounded(lost_in.onset if lost_in else None),
        reaped_at=_rounded(reaped_at),
        longest_stall=round(longest.seconds if longest else 0.0, _DIGITS),
        duration=round(findings.looked_until, _DIGITS),
        heard_at=_rounded(run.heard_before(lost_in.onset) if lost_in else None),
    )


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, _DIGITS)
