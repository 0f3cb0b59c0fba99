"""Run a sweep as the command does, for tests. As a tool: ``python -m tests.harness.grace.sweeping_process``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from halfopen.grace import store
from halfopen.grace.executor import SweepExecutor, executor
from halfopen.grace.sweep import BatchResult, Sweep
from tests.harness.grace import sweeps


def resumed(
    out: Path, how: SweepExecutor, sweep: Sweep, on_batched: Callable[[BatchResult], None] = lambda _: None
) -> dict[int, BatchResult]:
    """Run the batches that are not yet done. ``on_batched`` is called with each that is kept."""
    with store.opened(out, sweep, resume=True) as kept:

        def keep(batched: BatchResult) -> None:
            kept.append(batched)
            on_batched(batched)

        how.run(kept.todo, keep)
        return dict(kept.done)


def told(done: dict[int, BatchResult]) -> bytes:
    """Return all inputs of estimates, in order, without sentences: in those a microsecond may flip a digit."""
    mute = {n: [msgspec.structs.replace(one, why="") for one in done[n].trials] for n in sorted(done)}
    return msgspec.json.encode(list(mute.items()))


def many() -> Sweep:
    """Return a sweep of five small batches."""
    draws = [sweeps.outage(n, 2.0 + n / 3, hold=15, part="mix") for n in range(2)]
    dead = [sweeps.dead(10 + n, ("freeze", "vanish")[n % 2], hold=15) for n in range(3)]
    return sweeps.sweep([*draws, *dead, sweeps.outage(20, 6.0, hold=15)], graces=(5.0, 8.0), confirm=0.9)


if __name__ == "__main__":
    resumed(Path(sys.argv[1]), executor("local", 2), many(), lambda one: print(one.number, flush=True))
