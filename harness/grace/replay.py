"""Find when a watchdog would have ended a session: apply its own rule to the kernel's samples. Pure.

This does with a timeline's samples what halfopen.pod.watchdog.Watchdog does with clock and socket; the rule object is
the same. So one session, recorded without a detector, serves every grace and poll.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from halfopen import plugins
from halfopen.model.timeline import Sample, Timeline
from halfopen.pod import detectors
from halfopen.pod.watchdog import Probe, WatchdogRule

MakeRule = Callable[[float], WatchdogRule]
"""Makes a session's rule at its start, in seconds of the timeline."""

#: Seconds from a timer to the wake-up of its thread; measured in guests, on the virtual clock.
LATE = 15e-6
#: Number of phases of the poll to replay a session at, to find out if it survives all of them.
PHASES = 8
#: Seconds after an acknowledgement at which a sample includes it.
_JUST_AFTER = 1e-3


@functools.cache
def rule_of(detector: str | None) -> MakeRule | None:
    """Return the rule of a detector of the pod that can be replayed; None if it cannot. Raises InputError.

    It must depend only on the bytes acknowledged until a moment, which the kernel reports afterwards too. Other
    detectors act upon the session or ask its client. ``outq`` depends on the bytes queued at the very moment of its
    sample, which no sample of another moment shows.
    """
    if detector is None:
        return None
    module = plugins.load(detectors, detector)
    return module.RULE if getattr(module, "IS_REPLAYABLE", False) else None


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """The result that a sample of the session's socket would have had at any moment."""

    since: Sequence[float]
    """The moment from which each reading holds, seconds, ascending."""
    readings: Sequence[Sample]
    opened: float
    """The start of the server's session, and so of its watchdog's first wait."""
    until: float
    """The moment when the session ended by itself, or observation ended."""

    def at(self, moment: float) -> Probe:
        """Return the result of a sample at this moment; before the first reading, an empty queue."""
        number = bisect.bisect_right(self.since, moment) - 1
        if number < 0:
            return Probe("ESTABLISHED", 0, self.readings[0].bytes_acked if self.readings else None)
        reading = self.readings[number]
        return Probe(reading.state, reading.outq, reading.bytes_acked)


class Phases(msgspec.Struct, frozen=True):
    """Outcomes of a recorded session if the detector's samples had come earlier or later, at the same poll."""

    reaped: int
    tried: int
    worst: bool
    """True if it is reaped when a sample falls on its longest stall's onset. Then none of the stall is missed."""


def seen(timeline: Timeline, until: float) -> RecordedSession:
    """Convert a timeline into a watchdog's view, until this moment in seconds since the scenario's start."""
    samples = [sample for sample in timeline.samples if sample.t <= until]
    opened = timeline.first("target", "session_opened")
    since = [sample.t for sample in samples[:1]] + [held_from(*pair) for pair in pairwise(samples)]
    return RecordedSession(since, samples, opened.t if opened else 0.0, until)


def held_from(before: Sample, sample: Sample) -> float:
    """Return the moment from which this sample's state held.

    That is the acknowledgement that it counts first (tcpi_last_ack_recv). If bytes were queued again and none of them
    acknowledged, it is the time when they were sent (tcpi_last_data_sent).
    """
    if sample.state != before.state:
        return sample.t
    if sample.bytes_acked != before.bytes_acked:
        return max(before.t, sample.t - sample.last_ack_recv / 1000)
    if sample.outq and not before.outq:
        return max(before.t, sample.t - sample.last_data_sent / 1000)
    return sample.t


def reaped_at(
    session: RecordedSession, make_rule: MakeRule, grace: float, poll: float, shift: float = 0.0
) -> float | None:
    """Return when a watchdog with this grace and poll would have ended the session; None if not before its end.

    All times are in seconds. ``shift`` delays its samples, for results that depend on the exact moment.
    """
    now = session.opened + shift
    rule = make_rule(now)
    wait = poll
    while (now := now + wait + LATE) <= session.until:
        probe = session.at(now)
        stall = rule.stalled_for(probe, now)
        if probe.state != "ESTABLISHED" or stall >= grace:
            return now
        # As in the watchdog: a poll due after the end of the grace comes at its end instead.
        wait = min(poll, grace - stall)
    return None


def at_all_phases(
    session: RecordedSession, make_rule: MakeRule, grace: float, poll: float, onset: float | None
) -> Phases:
    """Replay at all phases of the poll. ``onset`` is that of the longest stall in seconds, if there is one."""
    ends = [reaped_at(session, make_rule, grace, poll, nth * poll / PHASES) for nth in range(PHASES)]
    reaped = sum(end is not None for end in ends)
    worst = False
    if onset is not None:
        shift = (onset - session.opened) % (poll + LATE) + _JUST_AFTER
        worst = reaped_at(session, make_rule, grace, poll, shift) is not None
    return Phases(reaped, PHASES, worst or reaped > 0)
