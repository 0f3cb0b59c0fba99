"""When a watchdog would have ended a session, had it been there: its own rule, put to what the kernel showed. Pure.

What halfopen.pod.watchdog.Watchdog does with the clock and the socket is done here with a timeline's samples; the rule
is the same object. So one session that was recorded while nobody acted serves every grace and poll.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from halfopen.grace.model import Phases
from halfopen.model.timeline import Sample, Timeline
from halfopen.pod.watchdog import Probe, Rule, StallRule

MakeRule = Callable[[float], Rule]
"""Makes a session's rule at its start, seconds of the timeline."""

RULES: Mapping[str, MakeRule] = {"bytes-acked": StallRule}
"""The detectors that can be replayed: those that go by which bytes were acknowledged until a moment, which the kernel
tells afterwards too. Others act upon the session or ask its client; and ``outq`` goes by how much is queued at the very
moment of its look, which no sample of another moment shows."""

#: A timer's thread wakes a little after the timer, seconds; measured in guests, on the virtual clock.
LATE = 15e-6
#: At so many phases of the poll a session is replayed, where it is to be known whether it survives all of them.
PHASES = 8
#: A look so soon after an acknowledgement has it in view, seconds.
_JUST_AFTER = 1e-3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the session's socket would have found, at any moment."""

    since: Sequence[float]
    """From when on each reading holds, seconds, ascending."""
    readings: Sequence[Sample]
    opened: float
    """When the server's session began, and its watchdog's first wait with it."""
    until: float
    """When the session ended by itself, or nobody looked any more."""

    def at(self, moment: float) -> Probe:
        """What a look at this moment would have found; before the first sample, an empty queue."""
        number = bisect.bisect_right(self.since, moment) - 1
        if number < 0:
            return Probe("ESTABLISHED", 0, self.readings[0].bytes_acked if self.readings else None)
        reading = self.readings[number]
        return Probe(reading.state, reading.outq, reading.bytes_acked)


def seen(timeline: Timeline, until: float) -> Seen:
    """A timeline as a watchdog would have seen it, until this moment, seconds since the scenario's start."""
    samples = [sample for sample in timeline.samples if sample.t <= until]
    opened = timeline.first("target", "session_opened")
    since = [sample.t for sample in samples[:1]] + [held_from(*pair) for pair in pairwise(samples)]
    return Seen(since, samples, opened.t if opened else 0.0, until)


def held_from(before: Sample, sample: Sample) -> float:
    """From when on it was as this sample says: since the acknowledgement that it counts first (tcpi_last_ack_recv), or
    where something was queued again and none of it acknowledged, since it was sent (tcpi_last_data_sent)."""
    if sample.state != before.state:
        return sample.t
    if sample.bytes_acked != before.bytes_acked:
        return max(before.t, sample.t - sample.last_ack_recv / 1000)
    if sample.outq and not before.outq:
        return max(before.t, sample.t - sample.last_data_sent / 1000)
    return sample.t


def reaped_at(session: Seen, make_rule: MakeRule, grace: float, poll: float, shift: float = 0.0) -> float | None:
    """When a watchdog with this grace and poll, seconds, would have ended the session; None if not before its end.

    ``shift``: its looks come so much later, for what hangs on their very moment.
    """
    now = session.opened + shift
    rule = make_rule(now)
    wait = poll
    while (now := now + wait + LATE) <= session.until:
        probe = session.at(now)
        stall = rule.stalled_for(probe, now)
        if probe.state != "ESTABLISHED" or stall >= grace:
            return now
        # As there: a poll that would come after the grace is up comes when it is up.
        wait = min(poll, grace - stall)
    return None


def at_all_phases(session: Seen, make_rule: MakeRule, grace: float, poll: float, onset: float | None) -> Phases:
    """The same for looks at other moments; ``onset``: of the session's longest stall, seconds, if it has one."""
    ends = [reaped_at(session, make_rule, grace, poll, nth * poll / PHASES) for nth in range(PHASES)]
    reaped = sum(end is not None for end in ends)
    worst = False
    if onset is not None:
        shift = (onset - session.opened) % (poll + LATE) + _JUST_AFTER
        worst = reaped_at(session, make_rule, grace, poll, shift) is not None
    return Phases(reaped, PHASES, worst or reaped > 0)
