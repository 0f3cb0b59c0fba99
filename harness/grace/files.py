"""grace.json and grace.csv: a sweep's results for other programs (field by field in docs/results.md).

The same sessions give the same bytes, except for ``started_at`` and ``wall_s``, which only grace.json has.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from halfopen import __version__
from halfopen.grace import confirmation
from halfopen.grace.estimates import Cause, DeathCounts, Estimates, GracePoint, longest_stalls
from halfopen.grace.latencies import Latencies
from halfopen.grace.outages import OutageStep, Survival
from halfopen.grace.rates import Rate
from halfopen.grace.recommendation import MOST_FALSE_REAPS, recommend
from halfopen.grace.trials import Sweep
from halfopen.results import record
from halfopen.scenario.target_spec import TargetSpec

JSON = record.SWEEP
CSV = record.SWEEP_ROWS

#: Decimals: a tenth of a millisecond for seconds, 1e-12 for shares.
_SECONDS, _SHARES = 4, 12


@dataclass(frozen=True, slots=True)
class SweepConditions:
    """The common conditions of all sessions, and facts on how they were made."""

    started_at: str
    wall: float
    kernel: str
    congestion_control: str
    mix: str = "default"
    clock: str = "virtual"


def as_table(sweep: Sweep, found: Estimates, how: SweepConditions, most: float = MOST_FALSE_REAPS) -> dict[str, Any]:
    """Return the content of grace.json (``points``, ``recommended_grace_s``, ``recommended_why``)."""
    recommended = recommend(found, most)
    chosen = recommended.point.candidate if recommended.point else None
    return {
        "halfopen": __version__,
        "started_at": how.started_at,
        "wall_s": _seconds(how.wall),
        "clock": how.clock,
        "kernel": how.kernel,
        "congestion_control": how.congestion_control,
        "seed": sweep.seed,
        "fingerprint": sweep.fingerprint,
        "mix": how.mix,
        "target": _target(sweep.target),
        "grace_argument": sweep.grace_argument,
        "draws": {"planned": found.planned, "tried": found.tried},
        "max_false_reaps": most,
        "points": [_point(point) for point in found.points],
        "stalls": _stalls(found),
        "confirmations": _confirmations(found),
        "recommended_grace_s": None if chosen is None else chosen.grace,
        "recommended_poll_s": None if chosen is None else chosen.poll,
        "recommended_detector": None if chosen is None else chosen.detector,
        "recommended_why": recommended.why,
        "more_runs": recommended.more_runs,
    }


def write(out: Path, table: Mapping[str, Any]) -> None:
    """Write both files into an existing folder. Raises OSError."""
    encoded = msgspec.json.encode(table, order="sorted")
    (out / JSON).write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
    (out / CSV).write_text(as_csv(table), encoding="utf-8")


def _target(spec: TargetSpec) -> dict[str, str]:
    """The target, as in results.json."""
    if spec.image:
        return {"kind": "image", "image": spec.image}
    return {"kind": "command", "command": spec.server} if spec.server else {"kind": "pod"}


def _point(point: GracePoint) -> dict[str, Any]:
    survived = point.survived
    return {
        "label": point.candidate.label,
        "detector": point.candidate.detector,
        "grace_s": point.candidate.grace,
        "poll_s": point.candidate.poll,
        "detection_s": _latencies(point.from_onset) | {"outside": point.outside},
        "detections_s": [_seconds(one) for one in point.from_onset.seconds],
        "after_fault_s": _latencies(point.from_fault),
        "alive_runs": point.false_reaps.trials,
        "false_reaps": point.false_reaps.times,
        "false_reap_rate": _share(point.false_reaps.share),
        "ci95": _interval(point.false_reaps),
        "dead_runs": point.missed.trials,
        "missed": point.missed.times,
        "missed_rate": _share(point.missed.share),
        "missed_ci95": _interval(point.missed),
        "silent_dead_runs": point.unnoticed.trials,
        "silent_missed": point.unnoticed.times,
        "seat_s": None if point.cost is None else _seconds(point.cost.seconds),
        "seat_s_at_least": point.cost is not None and point.cost.at_least,
        "survived_outage_s": None if survived is None else survived.survived,
        "lost_outage_s": None if survived is None else survived.reaped,
        "longest_outage_s": None if survived is None else survived.longest,
        "unproved": point.unproved,
        "causes": [_cause(one) for one in point.causes],
        "deaths": [_death(one) for one in point.deaths],
        "outages": [_outages(point, one) for one in point.survivals if one.rtt is not None],
    }


def _latencies(found: Latencies) -> dict[str, Any]:
    quantiles = {"min": found.least, "p50": found.median, "p99": found.p99, "max": found.most}
    return {"runs": len(found.seconds)} | {name: _seconds(value) for name, value in quantiles.items()}


def _cause(one: Cause) -> dict[str, Any]:
    rate = one.false_reaps
    return {
        "cause": one.name,
        "alive_runs": rate.trials,
        "false_reaps": rate.times,
        "false_reap_rate": _share(rate.share),
        "ci95": _interval(rate),
        "closed": one.closed,
        "unproved": one.unproved,
    }


def _death(one: DeathCounts) -> dict[str, Any]:
    return {
        "cause": one.name,
        "dead_runs": one.missed.trials,
        "missed": one.missed.times,
        "missed_rate": _share(one.missed.share),
        "missed_ci95": _interval(one.missed),
        "closed": one.closed,
        "unproved": one.unproved,
        "detection_s": _latencies(one.from_onset),
        "seat_s": None if one.cost is None else _seconds(one.cost.seconds),
        "seat_s_at_least": one.cost is not None and one.cost.at_least,
    }


def _outages(point: GracePoint, one: Survival) -> dict[str, Any]:
    its = [step for step in point.steps if step.rtt == one.rtt]
    return {
        "rtt_s": one.rtt,
        "survived_s": one.survived,
        "lost_s": one.reaped,
        "longest_s": one.longest,
        "outage_s": [step.length for step in its],
        "kept": [step.kept for step in its],
        "reaped": [step.reaped for step in its],
    }


def _stalls(found: Estimates) -> list[dict[str, Any]]:
    steps = longest_stalls(found.points)
    return [_stall(rtt, [step for step in steps if step.rtt == rtt]) for rtt in sorted({step.rtt for step in steps})]


def _stall(rtt: float, its: Sequence[OutageStep]) -> dict[str, Any]:
    seen = [step for step in its if step.stalls]
    return {
        "rtt_s": rtt,
        "outage_s": [step.length for step in seen],
        "least_s": [_seconds(step.stalls[0]) for step in seen],
        "most_s": [_seconds(step.stalls[-1]) for step in seen],
    }


def _confirmations(found: Estimates) -> dict[str, Any]:
    its = found.confirmations
    wrong = confirmation.disagreements(its)
    apart = [one.apart for one in its if one.apart is not None]
    return {
        "runs": len(its),
        "agree": len(its) - len(wrong),
        "apart_max_s": _seconds(max(apart, default=None)),
        "disagreements": [str(one) for one in wrong],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(float(value), _SECONDS)


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, _SHARES)


def _interval(rate: Rate) -> list[float] | None:
    return [round(rate.low, _SHARES), round(rate.high, _SHARES)] if rate.trials else None


# ---- grace.csv: rows of grace.json ----------------------------------------------------------------------------------

COLUMNS = (
    *("detector", "grace_s", "poll_s", "part", "cause", "rtt_s", "outage_s", "runs", "reaped", "kept", "closed"),
    *("unproved", "rate", "ci95_low", "ci95_high", "detection_p50_s", "detection_p99_s", "detection_max_s", "seat_s"),
)


def as_csv(table: Mapping[str, Any]) -> str:
    """Return grace.csv of grace.json's content: rows by candidate and cause, and by step of its staircase."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for point in table["points"]:
        who = {"detector": point["detector"] or "", "grace_s": point["grace_s"], "poll_s": point["poll_s"]}
        writer.writerows(who | row for row in (*_alive_rows(point), *_dead_rows(point), *_outage_rows(point)))
    return written.getvalue()


def _alive_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of live sessions. ``rate`` is that of false reaps."""
    everybody = {
        "cause": "all",
        "closed": _sum(point["causes"], "closed"),
        "unproved": _sum(point["causes"], "unproved"),
    }
    for one in ({**point, **everybody}, *point["causes"]):
        runs, reaped = one["alive_runs"], one["false_reaps"]
        yield {"part": "mix", "runs": runs, "reaped": reaped, "kept": runs - reaped} | _rate(
            one, "false_reap_rate", "ci95"
        )


def _dead_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of dead clients. ``rate`` is that of missed clients."""
    everybody = {
        "cause": "all",
        "closed": _sum(point["deaths"], "closed"),
        "unproved": _sum(point["deaths"], "unproved"),
    }
    for one in ({**point, **everybody}, *point["deaths"]):
        runs, missed, took = one["dead_runs"], one["missed"], one["detection_s"]
        yield (
            {"part": "dead", "runs": runs, "reaped": runs - missed, "kept": missed}
            | _rate(one, "missed_rate", "missed_ci95")
            | {f"detection_{name}_s": took[name] for name in ("p50", "p99", "max")}
            | {"seat_s": one["seat_s"]}
        )


def _outage_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in point["outages"]:
        for outage, kept, reaped in zip(one["outage_s"], one["kept"], one["reaped"], strict=True):
            which = {"part": "staircase", "cause": "staircase", "rtt_s": one["rtt_s"], "outage_s": outage}
            yield which | {"runs": kept + reaped, "reaped": reaped, "kept": kept}


def _rate(one: Mapping[str, Any], rate: str, interval: str) -> dict[str, Any]:
    low, high = one[interval] or (None, None)
    shares = {"rate": one[rate], "ci95_low": low, "ci95_high": high}
    return {name: one[name] for name in ("cause", "closed", "unproved")} | shares


def _sum(its: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(one[key]) for one in its)
