"""When to hold a session: once it is wedged, or once it clearly will not be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from halfopen.model.evidence import established, last_stall
from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.netns.units import show_bytes
from halfopen.results import words
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing

#: A writer counts as blocked after so many seconds without a write, or so many of its longest pauses if that is longer.
_BLOCKED, _SELDOM = 1.0, 2
#: Longest wait for a wedge after the last fault, seconds, and as a share of the fault's duration.
_PATIENCE, _SHARE = 10.0, 0.8
#: Seconds until a client without any fault is held.
_WITHOUT_FAULTS = 5.0


def why_hold(seen: Timeline, scenario: Scenario, terms: Timing, now: float) -> str | None:
    """Return the reason to hold the session now, None if it is too early. ``now`` is seconds since its start."""
    if not scenario.steps:
        return f"the scenario has no faults; {_state(seen)}" if now >= _WITHOUT_FAULTS else None
    begun = seen.last("fault", "begun")
    if begun is None:
        return None
    return _wedge(seen) or _no_wedge(seen, scenario, terms, begun, now)


def _wedge(seen: Timeline) -> str | None:
    """Return the wedge: bytes are queued, none is acknowledged, and the server writes no more."""
    first = seen.first("fault", "begun")
    assert first is not None
    samples = established(seen)
    stall = last_stall(samples)
    if stall is None or stall.until <= first.t:
        return None
    last = stall.samples[-1]
    # The server's writes after the fault show how often it writes.
    since = [sample for sample in samples if sample.t >= first.t - _PATIENCE]
    if last.t - max(_wrote_at(since), stall.onset) < max(_BLOCKED, _SELDOM * _pause(since)):
        return None
    window = "window closed, " if last.snd_wnd == 0 else ""
    return f"wedged: {window}{show_bytes(last.outq)} stuck, none acknowledged since {stall.onset:.1f}s"


def _written(sample: Sample) -> int:
    return sample.outq + (sample.bytes_acked or 0)


def _writes(samples: Sequence[Sample]) -> list[float]:
    """Return the moments at which the server was seen to have written something."""
    return [after.t for before, after in pairwise(samples) if _written(after) > _written(before)]


def _wrote_at(samples: Sequence[Sample]) -> float:
    return max(_writes(samples), default=samples[0].t if samples else 0.0)


def _pause(samples: Sequence[Sample]) -> float:
    """Return the longest time between two writes."""
    return max((after - before for before, after in pairwise(_writes(samples))), default=0.0)


def _no_wedge(seen: Timeline, scenario: Scenario, terms: Timing, begun: Event, now: float) -> str | None:
    """Return a reason if the last fault will have no further effect, or is about to be undone."""
    number = int(begun.data["step"])
    if number + 1 < len(scenario.steps):
        return None
    step = scenario.steps[number]
    patience = _PATIENCE
    if step.lasting is not None:
        patience = min(patience, _SHARE * terms.seconds(step.lasting))
    if now - begun.t < patience:
        return None
    return f"not wedged {words.ago(now - begun.t)} after {step.fault} began; {_state(seen)}"


def _state(seen: Timeline) -> str:
    samples = established(seen)
    return words.queued(samples[-1].outq) if samples else "its socket was not seen"
