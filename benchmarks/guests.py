"""Commands on the virtual clock, as whole processes: CPU time in multiples of a Python loop timed beside them.

``python -m benchmarks.guests --before PROGRAM`` also runs ``compare`` by another halfopen, such as an older checkout's.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROUNDS = 3
_LOOPS = 5_000_000
HALFOPEN = Path(sys.executable).with_name("halfopen")


class Bar(NamedTuple):
    """A command of halfopen's, and its CPU limit in multiples of the loop."""

    words: tuple[str, ...]
    most: float


class Cost(NamedTuple):
    """User and system CPU time of a command with all its processes, and its wall time, in seconds."""

    cpu: float
    wall: float


BARS = (
    Bar(("--version",), 1.2),
    Bar(("warp", "--", "true"), 5),
    Bar(("run", "pod_5090/clean_close", "--clock", "virtual"), 11),
    Bar(("run", "--clock", "virtual"), 35),
    Bar(("run", "wedge", "--clock", "virtual"), 20),
)


def loop() -> float:
    """CPU seconds of the loop that is the unit of measurement."""

    def work() -> None:
        total = 0
        for i in range(_LOOPS):
            total += i

    begun = time.process_time()
    work()
    return time.process_time() - begun


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a command in an empty ``folder``, where it writes its files, and measure it."""
    before, begun = _used(), time.monotonic()
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    taken = Cost(_used() - before, time.monotonic() - begun)
    # Exit code 1 is expected: some detectors of a comparison must fail.
    if ran.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with exit code {ran.returncode}: {ran.stderr}")
    return taken


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(before: str | None = None) -> None:
    print(f"{'on the virtual clock, medians of ' + str(ROUNDS):<46}{'CPU':>9}{'wall':>9}{'CPU':>9}{'bar':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for bar in BARS:
            _measure(bar, Path(folder))
        if before is not None:
            _compare(before, Path(folder))


def _measure(bar: Bar, folder: Path) -> None:
    loops, costs = [], []
    for _ in range(ROUNDS):
        loops.append(loop())
        costs.append(cost([str(HALFOPEN), *bar.words], folder))
    cpu, wall = (statistics.median(each) for each in zip(*costs, strict=True))
    unit = statistics.median(loops)
    name = f"halfopen {' '.join(bar.words)}"
    print(f"{name:<46}{cpu:>7.2f} s{wall:>7.2f} s{cpu / unit:>7.1f} L{bar.most:>6g} L   (L = {unit:.3f} s)", flush=True)


def _compare(before: str, folder: Path) -> None:
    """Run the whole comparison with this halfopen and with another."""
    words = ["compare", "--clock", "virtual", "--seed", "7"]
    unit = loop()
    ours, theirs = (cost([program, *words], folder) for program in (str(HALFOPEN), before))
    for name, taken in (("compare", ours), (f"compare by {before}", theirs)):
        print(f"{name:<46}{taken.cpu:>7.0f} s{taken.wall:>7.0f} s{taken.cpu / unit:>7.0f} L")
    print(f"{'ratio':<46}{ours.cpu / theirs.cpu:>7.2f}  {ours.wall / theirs.wall:>7.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.guests", description=__doc__)
    parser.add_argument("--before", metavar="PROGRAM", help="another halfopen, for the comparison", type=shutil.which)
    run(parser.parse_args().before)
