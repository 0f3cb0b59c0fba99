"""A sweep of a thousand one-minute sessions with eight graces: the cost of a run, and the share of booting in it."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import show
from halfopen import scenarios
from halfopen.grace.executor import LocalExecutor
from halfopen.grace.sweep import Batch, BatchResult, Candidate, Draw, Sweep

RUNS = 1000
_GRACES = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
#: Seconds from the first fault on. With the time before it, a session takes a minute.
_HOLD = 55
#: Scenarios to run in turn. Half are outages, as in a sweep's staircase.
_SHIPPED = (
    "alive/outage_10s_rtt20",
    "dead/frozen",
    "alive/outage_20s_rtt300",
    "alive/lossy_5",
    "alive/outage_27s_rtt20",
    "dead/vanished",
    "alive/outage_40s_rtt300",
    "alive/trickle_16k",
)
_FOLDER = Path(scenarios.__file__).parent


def run(runs: int = RUNS) -> None:
    sweep = Sweep(7, _draws(runs), tuple(Candidate(grace, 2.0, "bytes-acked") for grace in _GRACES), confirm=0.0)
    print(f"{runs} sessions of a minute, each replayed for {len(_GRACES)} graces")
    boots = _Cost([_batch(sweep, 1)], 1)
    whole = _Cost(sweep.batches())
    lab = sum(one.duration for batched in whole.done for one in batched.trials if one.candidate == 0)
    unproved = sum(one.outcome == "unproved" for batched in whole.done for one in batched.trials if one.candidate == 0)
    print(f"  {'in all':<44} {show(whole.wall):>10}")
    print(f"  {'lab seconds a second':<44} {lab / whole.wall:>10.0f}")
    print(f"  {'processor time of a session':<44} {show(whole.used / runs):>10}")
    print(f"  {'processor time of one in a guest of its own':<44} {show(boots.used):>10}")
    print(f"  {'unproved':<44} {unproved:>10}")


class _Cost:
    """Wall and processor seconds of batches."""

    def __init__(self, batches: Sequence[Batch], at_once: int | None = None) -> None:
        self.done: list[BatchResult] = []
        begun, before = time.monotonic(), _used()
        LocalExecutor(at_once).run(batches, self.done.append)
        self.wall, self.used = time.monotonic() - begun, _used() - before


def _batch(sweep: Sweep, size: int) -> Batch:
    """Return the first ``size`` draws of a sweep as a batch."""
    first = sweep.batches()[0]
    return Batch(first.number, first.seed, first.draws[:size], first.candidates, first.acting, first.replayed)


def _used() -> float:
    """Processor seconds of child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _draws(count: int) -> tuple[Draw, ...]:
    texts = [(name, (_FOLDER / f"{name}.toml").read_text()) for name in _SHIPPED]
    return tuple(_draw(number, *texts[number % len(texts)]) for number in range(count))


def _draw(number: int, name: str, text: str) -> Draw:
    suite, stem = name.split("/")
    text = re.sub(r'^hold = ".*"$', f'hold = "{_HOLD}s"', text, flags=re.MULTILINE)
    return Draw(number, "dead" if suite == "dead" else "mix", stem, f"{number:04d}-{stem}", text)
