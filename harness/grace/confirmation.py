"""Compare detectors that acted with the replays of their sessions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from halfopen.grace.sweep import Sweep, Trial
from halfopen.netns.units import show_duration
from halfopen.run.recorder import INTERVAL

#: Largest error of a moment in seconds. Two samples of a stalled socket are 8 ms apart, and an acknowledgement is dated
#: to the kernel's tick of 4 ms (docs/results.md, How an end is dated).
DATED_WITHIN = 0.012
#: Seconds by which a replay may differ from the real run. A reap is seen no sooner than the next sample.
AGREES_WITHIN = INTERVAL + DATED_WITHIN


def agree(predicted: float | None, reaped_at: float | None) -> bool:
    """True if a replay and the real run of a session agree. Moments are in seconds."""
    if predicted is None or reaped_at is None:
        return predicted is reaped_at
    return abs(predicted - reaped_at) <= AGREES_WITHIN


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A session in which a detector acted, and its replay's prediction. Moments are in seconds since its start."""

    draw: str
    candidate: str
    reaped_at: float | None
    predicted_at: float | None
    """The moment predicted from the session's own samples."""
    recorded: tuple[float | None, ...] = ()
    """The moments predicted from the recording without a detector. The rates are based on it.

    The first moment is for the actual samples, the others for slightly earlier or later ones. Empty if there is no
    recording or it is too short.
    """

    @property
    def apart(self) -> float | None:
        """Seconds between the two reaps; None unless there are both."""
        if self.reaped_at is None or self.predicted_at is None:
            return None
        return abs(self.reaped_at - self.predicted_at)

    @property
    def agrees(self) -> bool:
        """True if both or neither reaped, and at the same moment."""
        as_recorded = not self.recorded or any(agree(moment, self.reaped_at) for moment in self.recorded)
        return agree(self.predicted_at, self.reaped_at) and as_recorded

    def __str__(self) -> str:
        """Describe the disagreement."""
        wrong = self.recorded[0] if agree(self.predicted_at, self.reaped_at) else self.predicted_at
        real, replayed = ("not reaped" if at is None else f"reaped at {at:.3f}s" for at in (self.reaped_at, wrong))
        return f"{self.draw}, {self.candidate}: {real}, but its replay says {replayed}"


def confirmations(sweep: Sweep, trials: Sequence[Trial]) -> tuple[Confirmation, ...]:
    """Return all real runs that were also replayed, in the order of draws. Unproved runs confirm nothing."""
    names = {draw.number: draw.name for draw in sweep.draws}
    replays = {
        (trial.draw, trial.candidate): trial
        for trial in trials
        if not trial.real and trial.outcome in {"reaped", "kept"}
    }
    real = [trial for trial in trials if trial.real and trial.predicted and trial.outcome != "unproved"]
    return tuple(
        Confirmation(
            names[trial.draw],
            sweep.candidates[trial.candidate].label,
            trial.reaped_at,
            trial.predicted_at,
            _recorded(trial, replays.get((trial.draw, trial.candidate))),
        )
        for trial in sorted(real, key=lambda trial: (trial.draw, trial.candidate))
    )


def _recorded(real: Trial, replay: Trial | None) -> tuple[float | None, ...]:
    if replay is None or (real.reaped_at is not None and real.reaped_at > replay.duration):
        return ()
    return (replay.reaped_at, *replay.alternatives)


def disagreements(confirmed: Sequence[Confirmation]) -> tuple[Confirmation, ...]:
    """Return the confirmations in which the replay is wrong. While there is one, no replayed result can be trusted."""
    return tuple(real for real in confirmed if not real.agrees)


def agreement(confirmed: Sequence[Confirmation]) -> str:
    """Return the number that agree as one line, or an empty string if there was nothing to confirm."""
    if not confirmed:
        return ""
    agreeing = [real for real in confirmed if real.agrees]
    reaps = [real.apart for real in agreeing if real.apart is not None]
    to = f" to {show_duration(round(max(reaps), 3))}" if reaps and max(reaps) >= 0.0005 else ""
    return f"{len(agreeing)} of {len(confirmed)} real runs agree with their replay{to}, {len(reaps)} of them on a reap"
