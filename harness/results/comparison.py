"""compare.json: each detector's result in each scenario (field by field in docs/results.md). Pure but for writing."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from halfopen.netns.exit_codes import ExitCode
from halfopen.results import record
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import Class

CLASSES: tuple[Class, ...] = get_args(Class)


@dataclass(frozen=True, slots=True)
class Tally:
    """One detector's results over all scenarios. Inconclusive runs count only as such."""

    classes: Counter[str]
    failed: int
    """Number of runs that failed."""
    inconclusive: int
    detections: tuple[float, ...]
    """Seconds to each true reap."""
    orphan: int
    """The most bytes that the kernel still held after a reap."""

    @property
    def median(self) -> float | None:
        """Median of the detections; None if there are none."""
        return statistics.median(self.detections) if self.detections else None

    @property
    def longest(self) -> float | None:
        """Longest of the detections; None if there are none."""
        return max(self.detections, default=None)


def latency(done: RunResult) -> float | None:
    """Seconds to a true reap, from the stall, or from the fault if the scenario says so or nothing stalled."""
    if done.verdict.klass != "true_reap":
        return None
    verdict = done.verdict
    return verdict.after_fault if counts_from_fault(done) else verdict.detection


def counts_from_fault(done: RunResult) -> bool:
    """True if the latency counts from the fault, because no stall began with the death or the scenario says so."""
    return done.job.scenario.expect.since == "fault" or done.verdict.detection is None


def latency_as_table(done: RunResult) -> dict[str, Any]:
    """The latency of a true reap and its starting point (docs/results.md)."""
    seconds = latency(done)
    since = None if seconds is None else "fault" if counts_from_fault(done) else "stall"
    return {"latency_s": record.rounded(seconds), "latency_from": since}


def tally(done: Sequence[RunResult]) -> Tally:
    """Count one detector's runs."""
    proved = [one for one in done if one.verdict.word != "inconclusive"]
    took = (latency(one) for one in proved)
    return Tally(
        classes=Counter(one.verdict.klass for one in proved),
        failed=sum(one.verdict.word == "failed" for one in proved),
        inconclusive=len(done) - len(proved),
        detections=tuple(seconds for seconds in took if seconds is not None),
        orphan=max((one.verdict.found.orphan.bytes for one in proved), default=0),
    )


def by_candidate(done: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Group runs by the detector or server that is compared, in the order given."""
    found: dict[str, list[RunResult]] = {}
    for one in done:
        found.setdefault(str(one.job.candidate), []).append(one)
    return found


def as_table(how: Conditions, done: Sequence[RunResult], wall: float) -> dict[str, Any]:
    """The content of compare.json (``runs`` as in results.json, ``detectors``: counts of each class)."""
    tallies = {detector: tally(runs) for detector, runs in by_candidate(done).items()}
    common = record.as_table(how, done, wall)
    return common | {
        "runs": [run | latency_as_table(one) for run, one in zip(common["runs"], done, strict=True)],
        "detectors": {name: {klass: one.classes[klass] for klass in CLASSES} for name, one in tallies.items()},
        "summary": {
            name: {
                "failed": one.failed,
                "inconclusive": one.inconclusive,
                "latency_median_s": record.rounded(one.median),
                "latency_max_s": record.rounded(one.longest),
                "orphan_bytes_max": one.orphan,
            }
            for name, one in tallies.items()
        },
    }


def exit_code(done: Sequence[RunResult]) -> int:
    """0 if every cell is conclusive, whether the detector passed or failed; 3 if some are inconclusive."""
    inconclusive = any(one.verdict.word == "inconclusive" for one in done)
    return ExitCode.INCONCLUSIVE if inconclusive else ExitCode.PASSED
