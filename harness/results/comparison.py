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
#: One more, if there were bystanders.
SILENCE_HEAD = "silence"


def latency(done: RunResult) -> float | None:
    """Seconds to a true reap, from the stall, or from the fault if the scenario says so or nothing stalled."""
    if done.verdict.klass != "true_reap":
        return None
    return done.verdict.after_fault if _counts_from_fault(done) else done.verdict.detection


def silence(done: RunResult) -> float | None:
    """Seconds for which a bystander received nothing, the longest of any; None if there were none."""
    bystanders = (done.others[name].found for name in done.job.scenario.bystanders if name in done.others)
    return max((found.gap.seconds for found in bystanders if found.gap is not None), default=None)


def _counts_from_fault(done: RunResult) -> bool:
    return done.job.scenario.expect.since == "fault" or done.verdict.detection is None


def run_as_table(done: RunResult, **more: Any) -> dict[str, Any]:
    """The entry of a run as in results.json, then ``more``, then what is compared.

    That is the latency of a true reap with its starting point, and the silence that bystanders suffered.
    """
    counted = latency(done)
    since = None if counted is None else "fault" if _counts_from_fault(done) else "stall"
    figures = {"latency_s": record.rounded(counted), "latency_from": since, "silence_s": record.rounded(silence(done))}
    return record.run_as_table(done) | more | figures


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
        "silence_max_s": record.rounded(max(filter(None, map(silence, proved)), default=None)),
    }


def summary_heads(table: Mapping[str, Any]) -> tuple[str, ...]:
    """The heads of the cells of :func:`summary_rows`, from compare.json."""
    totals = (table.get("summary") or {}).values()
    has_bystanders = any(each.get("silence_max_s") is not None for each in totals)
    return (*SUMMARY_HEADS, SILENCE_HEAD) if has_bystanders else SUMMARY_HEADS


def summary_rows(table: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Each candidate with its cells under :func:`summary_heads`, from compare.json; empty if none are compared."""
    count = len(summary_heads(table))
    return [
        (name, _summary_row(table.get("detectors", {}).get(name, {}), totals)[:count])
        for name, totals in (table.get("summary") or {}).items()
    ]


def _summary_row(classes: Mapping[str, int], totals: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [*(classes.get(klass) for klass in _CLASSES), totals.get("failed"), totals.get("inconclusive")]
    orphan = totals.get("orphan_bytes_max")
    return (
        *(str(number or "") for number in numbers),
        *(words.seconds(totals.get(key)) for key in ("latency_median_s", "latency_max_s")),
        show_bytes(orphan) if orphan else "",
        words.seconds(totals.get("silence_max_s")),
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
                "guarded": spec.guard,
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
