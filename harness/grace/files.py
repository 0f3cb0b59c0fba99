"""grace.json and grace.csv: a sweep's results for other programs (field by field in docs/results.md).

The same sessions give the same bytes, except for ``started_at`` and ``wall_s``, which only grace.json has.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from halfopen import __version__
from halfopen.grace import confirmation
from halfopen.grace.estimates import CauseCounts, Cost, Estimates, GracePoint, longest_stalls, quantile
from halfopen.grace.outages import Survival
from halfopen.grace.rates import Rate
from halfopen.grace.recommendation import MOST_FALSE_REAPS, recommend
from halfopen.grace.sweep import Sweep
from halfopen.results import record

JSON = record.SWEEP
CSV = record.SWEEP_ROWS

#: Keys of a rate: trials, events, share, interval. The events are false reaps of live sessions, or missed dead clients.
_ALIVE = ("alive_runs", "false_reaps", "false_reap_rate", "ci95")
_DEAD = ("dead_runs", "missed", "missed_rate", "missed_ci95")
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


def as_table(
    sweep: Sweep, estimates: Estimates, how: SweepConditions, most: float = MOST_FALSE_REAPS
) -> dict[str, Any]:
    """Return the content of grace.json (``points``, ``recommended_grace_s``, ``recommended_why``)."""
    recommended = recommend(estimates, most)
    chosen = recommended.point.candidate if recommended.point else None
    return {
        "halfopen": __version__,
        "started_at": how.started_at,
        "wall_s": _seconds(how.wall),
        "clock": "virtual",
        "kernel": how.kernel,
        "congestion_control": how.congestion_control,
        "seed": sweep.seed,
        "fingerprint": sweep.fingerprint,
        "mix": how.mix,
        "target": {"kind": "pod"} if sweep.target.is_pod else {"kind": "command", "command": sweep.target.server},
        "grace_argument": sweep.grace_argument,
        "draws": {"planned": estimates.planned, "tried": estimates.tried},
        "max_false_reaps": most,
        "points": [_point(point) for point in estimates.points],
        "stalls": _stalls(estimates),
        "confirmations": _confirmations(estimates),
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


def _point(point: GracePoint) -> dict[str, Any]:
    survived = point.survived
    return {
        "label": point.candidate.label,
        "detector": point.candidate.detector,
        "grace_s": point.candidate.grace,
        "poll_s": point.candidate.poll,
        "detection_s": _latencies(point.from_onset) | {"outside": point.outside},
        "detections_s": [_seconds(latency) for latency in point.from_onset],
        "after_fault_s": _latencies(point.from_fault),
        **_rate(point.false_reaps, _ALIVE),
        **_rate(point.missed, _DEAD),
        "silent_dead_runs": point.unnoticed.trials,
        "silent_missed": point.unnoticed.times,
        **_seat(point.cost),
        "survived_outage_s": None if survived is None else survived.survived,
        "lost_outage_s": None if survived is None else survived.reaped,
        "longest_outage_s": None if survived is None else survived.longest,
        "unproved": point.unproved,
        "causes": [_counts(cause, _ALIVE) for cause in point.causes],
        "deaths": [
            _counts(cause, _DEAD) | {"detection_s": _latencies(cause.from_onset)} | _seat(cause.cost)
            for cause in point.deaths
        ],
        "outages": [_outages(point, survival) for survival in point.survivals if survival.rtt is not None],
    }


def _latencies(ascending: tuple[float, ...]) -> dict[str, Any]:
    return {
        "runs": len(ascending),
        "min": _seconds(min(ascending, default=None)),
        "p50": _seconds(quantile(ascending, 50)),
        "p99": _seconds(quantile(ascending, 99)),
        "max": _seconds(max(ascending, default=None)),
    }


def _rate(rate: Rate, names: tuple[str, ...]) -> dict[str, Any]:
    share = None if rate.share is None else round(rate.share, _SHARES)
    interval = [round(end, _SHARES) for end in rate.interval] if rate.trials else None
    return dict(zip(names, (rate.trials, rate.times, share, interval), strict=True))


def _seat(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {"seat_s": None, "seat_s_at_least": False}
    return {"seat_s": _seconds(cost.seconds), "seat_s_at_least": cost.at_least}


def _counts(cause: CauseCounts, names: tuple[str, ...]) -> dict[str, Any]:
    return _rate(cause.wrong, names) | {"cause": cause.name, "closed": cause.closed, "unproved": cause.unproved}


def _outages(point: GracePoint, survival: Survival) -> dict[str, Any]:
    steps = [step for step in point.steps if step.rtt == survival.rtt]
    return {
        "rtt_s": survival.rtt,
        "survived_s": survival.survived,
        "lost_s": survival.reaped,
        "longest_s": survival.longest,
        "outage_s": [step.length for step in steps],
        "kept": [step.kept for step in steps],
        "reaped": [step.reaped for step in steps],
    }


def _stalls(estimates: Estimates) -> list[dict[str, Any]]:
    trips: dict[float, dict[str, Any]] = {}
    for step in longest_stalls(estimates.points):
        keys = ("outage_s", "least_s", "most_s")
        trip = trips.setdefault(step.rtt, {"rtt_s": step.rtt} | {key: [] for key in keys})
        if step.stalls:
            for key, value in zip(
                keys, (step.length, _seconds(step.stalls[0]), _seconds(step.stalls[-1])), strict=True
            ):
                trip[key].append(value)
    return list(trips.values())


def _confirmations(estimates: Estimates) -> dict[str, Any]:
    wrong = confirmation.disagreements(estimates.confirmations)
    apart = [real.apart for real in estimates.confirmations if real.apart is not None]
    return {
        "runs": len(estimates.confirmations),
        "agree": len(estimates.confirmations) - len(wrong),
        "apart_max_s": _seconds(max(apart, default=None)),
        "disagreements": [str(real) for real in wrong],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(float(value), _SECONDS)


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
        writer.writerows(who | row for row in (*_cause_rows(point), *_outage_rows(point)))
    return written.getvalue()


def _cause_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of live sessions, then of dead clients. ``rate`` is that of false reaps, or of missed clients."""
    for part, names, causes in (("mix", _ALIVE, point["causes"]), ("dead", _DEAD, point["deaths"])):
        sums = {key: sum(cause[key] for cause in causes) for key in ("closed", "unproved")}
        for counts in ({**point, "cause": "all", **sums}, *causes):
            runs, wrong, rate, interval = (counts[name] for name in names)
            reaped = wrong if part == "mix" else runs - wrong
            low, high = interval or (None, None)
            row = {"part": part, "runs": runs, "reaped": reaped, "kept": runs - reaped}
            row |= {key: counts[key] for key in ("cause", "closed", "unproved")}
            row |= {"rate": rate, "ci95_low": low, "ci95_high": high}
            if part == "dead":
                row |= {f"detection_{name}_s": counts["detection_s"][name] for name in ("p50", "p99", "max")}
                row["seat_s"] = counts["seat_s"]
            yield row


def _outage_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for trip in point["outages"]:
        for outage, kept, reaped in zip(trip["outage_s"], trip["kept"], trip["reaped"], strict=True):
            step = {"part": "staircase", "cause": "staircase", "rtt_s": trip["rtt_s"], "outage_s": outage}
            yield step | {"runs": kept + reaped, "reaped": reaped, "kept": kept}
