"""Run every scenario on every kernel and clock and compare: ``python -m benchmarks.agreement [--write]``.

Each session's outcome must be the same on every kernel and clock, and detection times must agree to within one poll.
``--write`` puts the tables into docs/clock.md.
"""

from __future__ import annotations

import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import document

SECTION = "agreement"

_VIRTUAL_RUNS = 5
#: Production's grace. All sessions, the wedge included, are observed for as long as the kept ones.
_PRODUCTION = ["pod_5090", "wedge", "--hold", "78s"]
_IN_FULL = ["wedge"]

Table = dict[str, Any]
"""The content of a results.json."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A kernel and a clock, as options of ``halfopen run``."""

    name: str
    arguments: Sequence[str]

    def run(self, arguments: Sequence[str], place: Path) -> Table:
        """Run ``halfopen run`` with these arguments; return its results. ``place`` is a folder just for it."""
        out = place / "out"
        command = [sys.executable, "-m", "halfopen", "run", *self.arguments, *arguments, "--out", str(out)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        results = out / "results.json"
        assert results.exists(), f"{self.name}: exit code {done.returncode}: {done.stdout}"
        table: Table = json.loads(results.read_text())
        return table


HOST = Surroundings("the machine's kernel", ["--clock", "real", "--kernel", "host"])
VIRTUAL = Surroundings("guest, virtual clock", ["--clock", "virtual"])
GUEST = Surroundings("guest, real clock", ["--clock", "real", "--kernel", "guest"])


def differences(tables: Mapping[str, Table]) -> list[str]:
    """Return the differences between several results.json of the same call, one sentence each. Pure.

    Outcome, class and verdict must be the same, and detection times must lie within one poll.
    """
    first = next(iter(tables.values()))
    found = []
    for at, its in enumerate(first["runs"]):
        runs = {name: table["runs"][at] for name, table in tables.items()}
        assert {run["scenario"] for run in runs.values()} == {its["scenario"]}, runs
        found += [
            f"{its['scenario']}: {key.removesuffix('_s')}: {_listed(runs, key)}"
            for key in ("outcome", "class", "verdict", "detection_s")
            if not _agree([run[key] for run in runs.values()], first["poll_s"])
        ]
    return found


def _agree(values: Sequence[Any], poll: float) -> bool:
    """True if all words are equal, or all times lie within a poll."""
    times = [value for value in values if isinstance(value, float)]
    return max(times) - min(times) <= poll if len(times) == len(values) else len(set(values)) == 1


def _listed(runs: Mapping[str, Table], key: str) -> str:
    return ", ".join(f"{run[key]} ({name})" for name, run in runs.items())


def scenarios_table(tables: Mapping[str, Table]) -> str:
    """A row for each scenario: the common outcome and verdict, then each surroundings' figures."""
    names = list(tables)
    rows = []
    for at, its in enumerate(next(iter(tables.values()))["runs"]):
        runs = [table["runs"][at] for table in tables.values()]
        same = {(run["outcome"], run["class"], run["verdict"]) for run in runs}
        told = f"{its['outcome']}, {its['verdict']}" if len(same) == 1 else "**differs**"
        rows.append([its["scenario"], told, *(_figures(run) for run in runs)])
    return _table(["scenario", "everywhere", *names], rows)


def _figures(run: Table) -> str:
    figures = []
    if run["detection_s"] is not None:
        figures.append(f"{run['detection_s']:.2f} s")
    if run["stuck_bytes"]:
        figures.append(f"{run['stuck_bytes'] / 1e3:.0f} kB")
    return ", ".join(figures)


def walls_table(tables: Mapping[str, Table], walls: Mapping[str, Sequence[float]]) -> str:
    """A row for each surroundings: kernel, congestion control and wall time."""
    least = statistics.median(walls[VIRTUAL.name])
    rows = []
    for name, table in tables.items():
        median = statistics.median(walls[name])
        rows.append(
            [name, table["kernel"], str(table["congestion_control"]), f"{median:.1f} s", f"{median / least:.1f}"]
        )
    return _table(["kernel and clock", "Linux", "congestion control", "wall time", "ratio"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


class _Measuring:
    """Runs one after the other, so that none disturbs another."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._count = 0
        self.tables: dict[str, Table] = {}
        self.walls: dict[str, list[float]] = {}

    def run(self, surroundings: Surroundings, arguments: Sequence[str]) -> float:
        """Run once; return the wall time in seconds from the command's start to its end."""
        self._count += 1
        place = self._place / str(self._count)
        place.mkdir()
        began = time.monotonic()
        table = surroundings.run([*arguments, "--seed", str(self._count)], place)
        took = time.monotonic() - began
        print(f"{surroundings.name}: {' '.join(arguments)}: {took:.1f} s", file=sys.stderr)
        if arguments == _PRODUCTION:
            self.tables[surroundings.name] = table
            self.walls.setdefault(surroundings.name, []).append(took)
        return took


def run(place: Path) -> tuple[str, list[str]]:
    """Measure everything; return the text for the docs, and the differences."""
    measuring = _Measuring(place)
    real = [HOST, GUEST]
    # Virtual-clock runs go between the real-time runs and at the end, so the machine's other load affects all alike.
    for surroundings in real:
        measuring.run(VIRTUAL, _PRODUCTION)
        measuring.run(surroundings, _PRODUCTION)
    for _ in range(_VIRTUAL_RUNS - len(real)):
        measuring.run(VIRTUAL, _PRODUCTION)
    in_full = statistics.median(measuring.run(VIRTUAL, _IN_FULL) for _ in range(3))
    tables = {each.name: measuring.tables[each.name] for each in (VIRTUAL, *reversed(real))}
    what = (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by `python -m benchmarks.agreement` with "
        f"{os.cpu_count()} cores: `halfopen run {' '.join(_PRODUCTION)}` on each. The outcome of each session, the "
        "time from the start of its stall to its reap, and the most bytes that were stuck:"
    )
    how_long = (
        f"Wall time of each, on the virtual clock the median of {_VIRTUAL_RUNS}. There all 13 minutes of the wedge "
        f"take {in_full:.1f} s."
    )
    text = [what, scenarios_table(tables), how_long, walls_table(tables, measuring.walls)]
    return "\n\n".join(text), differences(tables)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        print(f"unknown arguments {arguments}: there is --write", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        text, found = run(Path(folder))
    print(text, *found, sep="\n")
    if arguments:
        document.put(SECTION, text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
