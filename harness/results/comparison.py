"""compare.json and field.json: each detector's or server's result in each scenario (docs/results.md). Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from halfopen.model import printed_stacks
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.units import show_bytes
from halfopen.results import record, story, words
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.scenario.target_spec import TargetSpec

#: For summaries: keys in compare.json, and column heads. A class counts only runs that passed or failed.
_CLASSES = ("true_reap", "missed", "false_reap", "true_keep", "closed")
SUMMARY_HEADS = ("reaped", "missed", "false", "kept", "closed", "wrong", "?", "median", "max", "orphan")


def latency(done: RunResult) -> float | None:
    """Seconds to a true reap, from the stall, or from the fault if the scenario says so or nothing stalled."""
    if done.verdict.klass != "true_reap":
        return None
    return done.verdict.after_fault if _counts_from_fault(done) else done.verdict.detection


def _counts_from_fault(done: RunResult) -> bool:
    return done.job.scenario.expect.since == "fault" or done.verdict.detection is None


def run_as_table(done: RunResult, **more: Any) -> dict[str, Any]:
    """The entry of a run as in results.json, then ``more``, then the latency of a true reap and its starting point."""
    counted = latency(done)
    since = None if counted is None else "fault" if _counts_from_fault(done) else "stall"
    return (
        record.run_as_table(done)
        | more
        | {"latency_s": record.rounded(counted), "latency_from": since, "silence_s": record.rounded(silence(done))}
    )


def silence(done: RunResult) -> float | None:
    """Seconds of the longest time without data for a bystander: a client that is there from the start, unharmed.

    None if the scenario has none, or if nothing is known of what they received.
    """
    scenario = done.job.scenario
    unharmed = {other.name for other in scenario.others if other.comes_first and not scenario.steps_on(other.name)}
    gaps = [verdict.found.gap for name, verdict in done.others.items() if name in unharmed]
    return max((gap.seconds for gap in gaps if gap is not None), default=None)


def silences(runs: Sequence[Mapping[str, Any]], key: str) -> tuple[list[str], list[tuple[str, tuple[str, ...]]]]:
    """Return the scenarios with bystanders, and for each candidate the longest silence of any, in seconds.

    ``runs`` are those of compare.json or field.json, and ``key`` is the one with the candidate's name. Of repeated runs
    the longest counts. An empty cell is a run without bystanders, or one that proved nothing.
    """
    longest: dict[tuple[str, str], float] = {}
    for run in runs:
        seconds = run.get("silence_s")
        if seconds is not None and run["verdict"] in {"passed", "failed"}:
            cell = str(run[key]), f"{run['suite']}/{run['scenario']}"
            longest[cell] = max(seconds, longest.get(cell, 0.0))
    names = list(dict.fromkeys(scenario for _, scenario in longest))
    candidates = dict.fromkeys(candidate for candidate, _ in longest)
    return names, [
        (who, tuple(f"{longest[who, name]:.1f}" if (who, name) in longest else "" for name in names))
        for who in candidates
    ]


def by_candidate(done: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Group runs by the detector or server that is compared, in the order given."""
    groups: dict[str, list[RunResult]] = {}
    for one in done:
        groups.setdefault(str(one.job.candidate), []).append(one)
    return groups


def summary(done: Sequence[RunResult]) -> dict[str, dict[str, Any]]:
    """The content of ``detectors`` and ``summary``: for each candidate the counts of each class, and its totals."""
    groups = by_candidate(done)
    proved = {name: [one for one in runs if one.verdict.word in {"passed", "failed"}] for name, runs in groups.items()}
    return {
        "detectors": {
            name: {klass: sum(one.verdict.klass == klass for one in runs) for klass in _CLASSES}
            for name, runs in proved.items()
        },
        "summary": {name: _totals(runs, groups[name]) for name, runs in proved.items()},
    }


def _totals(proved: Sequence[RunResult], runs: Sequence[RunResult]) -> dict[str, Any]:
    latencies = [taken for one in proved if (taken := latency(one)) is not None]
    return {
        "failed": sum(one.verdict.word == "failed" for one in proved),
        "inconclusive": sum(one.verdict.word == "inconclusive" for one in runs),
        "latency_median_s": record.rounded(statistics.median(latencies) if latencies else None),
        "latency_max_s": record.rounded(max(latencies, default=None)),
        "orphan_bytes_max": max((one.verdict.found.orphan.bytes for one in proved), default=0),
    }


def summary_rows(table: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Each candidate with its cells under SUMMARY_HEADS, from compare.json; empty if none are compared."""
    return [
        (name, _summary_row(table.get("detectors", {}).get(name, {}), totals))
        for name, totals in (table.get("summary") or {}).items()
    ]


def _summary_row(classes: Mapping[str, int], totals: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [*(classes.get(klass) for klass in _CLASSES), totals.get("failed"), totals.get("inconclusive")]
    orphan = totals.get("orphan_bytes_max")
    return (
        *(str(number or "") for number in numbers),
        *(words.seconds(totals.get(key)) for key in ("latency_median_s", "latency_max_s")),
        show_bytes(orphan) if orphan else "",
    )


def as_table(how: Conditions, done: Sequence[RunResult], wall: float) -> dict[str, Any]:
    """The content of compare.json."""
    common = record.as_table(how, done, wall)
    runs = [run | run_as_table(one) for run, one in zip(common["runs"], done, strict=True)]
    return common | {"runs": runs} | summary(done)


def field_as_table(
    how: Conditions,
    done: Sequence[RunResult],
    wall: float,
    servers: Mapping[str, tuple[TargetSpec, str]],
) -> dict[str, Any]:
    """The content of field.json. ``servers`` maps each name to its description and its report of versions."""
    common = record.conditions_as_table(how, wall)
    return {key: value for key, value in common.items() if key not in ("target", "detector")} | {
        "targets": [
            {
                "name": name,
                "title": spec.title or name,
                "file": spec.file,
                "fixes": spec.fixes_name,
                "command": spec.server,
                "edge": spec.edge,
                "versions": versions,
            }
            for name, (spec, versions) in servers.items()
        ],
        "runs": [_field_run(one) for one in done],
    }


def _field_run(done: RunResult) -> dict[str, Any]:
    held = done.verdict.klass == "missed"
    return run_as_table(done, target=done.job.candidate) | {
        "stacks": printed_stacks.printed(done.timeline) if held else [],
        "complaints": printed_stacks.complaints(done.timeline) if held else [],
        "known_at_reap": story.known_at_reap(done) if done.verdict.klass == "false_reap" else None,
    }


def exit_code(done: Sequence[RunResult]) -> int:
    """0 if every cell is conclusive, whether the detector passed or failed; 3 if some are inconclusive."""
    inconclusive = any(one.verdict.word == "inconclusive" for one in done)
    return ExitCode.INCONCLUSIVE if inconclusive else ExitCode.PASSED
