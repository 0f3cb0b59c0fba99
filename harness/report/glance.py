"""A report's overview of all runs: conditions, counts, and the table of a comparison. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halfopen.netns.units import show_bytes, show_duration
from halfopen.report.entries import STANDINGS, Entry, Run
from halfopen.results import cells

#: For summaries: keys in compare.json, and column heads in the terminal.
_CLASSES = ("true_reap", "missed", "false_reap", "true_keep", "closed")
SUMMARY_HEADS = ("reaped", "missed", "false", "kept", "closed", "wrong", "?", "median", "max", "orphan")


@dataclass(frozen=True, slots=True)
class Count:
    """Number of runs with one standing."""

    standing: str
    mark: str
    words: str
    number: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One run in the comparison's table."""

    text: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Block:
    """One suite of the comparison: scenarios across, detectors or servers down."""

    suite: str
    scenarios: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def headline(table: Mapping[str, Any], compared: str = "") -> str:
    """The line with the target and the conditions."""
    target = table.get("target") or {}
    what = (
        target.get("command") or target.get("image") or target.get("kind") or f"{len(table.get('targets', ()))} servers"
    )
    detector = f", {compared}" if compared else f", detector {table['detector']}" if table.get("detector") else ""
    shard = f", shard {table['shard']}" if table.get("shard") else ""
    return (
        f"halfopen {table.get('halfopen', '')}: {what}{detector}, grace {show_duration(table['grace_s'])}, "
        f"poll {show_duration(table.get('poll_s') or 0)}{shard}; "
        f"{table.get('clock')} clock, Linux {table.get('kernel')}, "
        f"{table.get('congestion_control') or 'unknown congestion control'}; seed {table.get('seed')}"
    )


def compared(entries: Sequence[Entry]) -> str:
    """The numbers of detectors and scenarios."""
    detectors = len({one.candidate for one in entries})
    scenarios = len({(one.suite, one.scenario) for one in entries})
    return f"{detectors} detectors against {scenarios} scenarios"


def counts(entries: Sequence[Entry]) -> list[Count]:
    """Count the runs of each standing, the worst first, without zeros."""
    numbers = Counter(one.standing for one in entries)
    return [
        Count(key, mark, "known failures" if key == "known" and numbers[key] > 1 else words, numbers[key])
        for key, (mark, words) in STANDINGS.items()
        if numbers[key]
    ]


def blocks(runs: Sequence[tuple[Run, Entry]]) -> list[Block]:
    """The comparison, a block for each suite, in the order of the runs."""
    return [_block(suite, runs) for suite in dict.fromkeys(entry.suite for _, entry in runs)]


def _block(suite: str, runs: Sequence[tuple[Run, Entry]]) -> Block:
    found: dict[tuple[str, str], Cell] = {}
    for run, entry in runs:
        if entry.suite == suite:
            found.setdefault((entry.candidate, entry.scenario), Cell(cell(run), entry))
    scenarios = tuple(dict.fromkeys(scenario for _, scenario in found))
    candidates = dict.fromkeys(candidate for candidate, _ in found)
    return Block(
        suite, scenarios, tuple((who, tuple(found.get((who, name)) for name in scenarios)) for who in candidates)
    )


def cell(run: Run) -> str:
    """One run in at most five characters, as in the terminal."""
    from_fault = _counts_from_fault(run)
    seconds = run.get("after_fault_s") if from_fault else run.get("detection_s")
    if run.get("class") not in cells.LETTERS:
        return "?" if run["verdict"] == "inconclusive" else "!"
    took = seconds if run["class"] == "true_reap" else None
    return cells.cell(run["verdict"], run["class"], took, from_fault=from_fault)


def _counts_from_fault(run: Run) -> bool:
    if run.get("latency_from"):
        return bool(run["latency_from"] == "fault")
    return run.get("detection_s") is None


def summary(table: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Each detector's totals under SUMMARY_HEADS; empty if none are compared."""
    sums: Mapping[str, Mapping[str, Any]] = table.get("summary") or {}
    return [(name, _row(table.get("detectors", {}).get(name, {}), its)) for name, its in sums.items()]


def _row(classes: Mapping[str, int], its: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = [*(classes.get(klass) for klass in _CLASSES), its.get("failed"), its.get("inconclusive")]
    orphan = its.get("orphan_bytes_max")
    return (
        *(str(number or "") for number in numbers),
        *(_seconds(its.get(key)) for key in ("latency_median_s", "latency_max_s")),
        show_bytes(orphan) if orphan else "",
    )


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}s"
