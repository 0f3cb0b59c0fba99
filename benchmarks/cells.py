"""The cells of comparisons on several clocks, side by side: ``python -m benchmarks.cells compare.json ... [--write]``.

Each is a compare.json of ``halfopen compare``; those on the same clock are taken together. Exits 1 if a cell differs.
``--write`` puts the table into docs/comparison.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import document

SECTION = "cells"
DOCUMENT = document.DOCUMENT.with_name("comparison.md")

Cells = dict[tuple[str, str], dict[str, dict[str, Any]]]
"""Runs by scenario (suite and name) and detector, then by clock."""


def gathered(tables: Sequence[Mapping[str, Any]]) -> Cells:
    """Return the runs of all comparisons by cell. Cells that only one clock has are left out."""
    cells: Cells = {}
    for table in tables:
        for run in table["runs"]:
            name = f"{run['suite']}/{run['scenario']}"
            cells.setdefault((name, run["detector"]), {})[table["clock"]] = run
    return {key: by_clock for key, by_clock in cells.items() if len(by_clock) > 1}


def differing(cells: Cells) -> list[str]:
    """Return the cells that differ between clocks in class or verdict."""
    return [
        f"{detector} {name}"
        for (name, detector), by_clock in cells.items()
        if len({(run["class"], run["verdict"]) for run in by_clock.values()}) > 1
    ]


def rendered(cells: Cells) -> str:
    """A row for each scenario, with each detector's class and its seconds on each clock."""
    detectors = list(dict.fromkeys(detector for _, detector in cells))
    clocks = sorted({clock for by_clock in cells.values() for clock in by_clock}, reverse=True)
    lines = [
        f"| scenario | {' | '.join(f'{detector} ({chr(44).join(clocks)})' for detector in detectors)} |",
        "|---" * (len(detectors) + 1) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in cells):
        row = (_cell(cells.get((name, detector), {}), clocks) for detector in detectors)
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


def _cell(by_clock: Mapping[str, Mapping[str, Any]], clocks: Sequence[str]) -> str:
    if not by_clock:
        return ""
    classes = dict.fromkeys(str(run["class"]).replace("_", " ") for run in by_clock.values())
    took = [_seconds(by_clock[clock]) for clock in clocks if clock in by_clock]
    return " / ".join(classes) + (f", {', '.join(took)}" if any(took) else "")


def _seconds(run: Mapping[str, Any]) -> str:
    if run["class"] != "true_reap":
        return ""
    took = run["detection_s"] if run["detection_s"] is not None else run["after_fault_s"]
    return "" if took is None else f"{took:.1f} s"


def main(arguments: Sequence[str]) -> int:
    """Print or write the table; return the exit code."""
    files = [Path(argument) for argument in arguments if argument != "--write"]
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    cells = gathered([json.loads(file.read_text()) for file in files])
    text = rendered(cells)
    unlike = differing(cells)
    print(text)
    print(f"\n{len(cells)} cells, {len(unlike)} differ{': ' + ', '.join(unlike) if unlike else ''}")
    if "--write" in arguments:
        document.put(SECTION, text, DOCUMENT)
    return 1 if unlike else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
