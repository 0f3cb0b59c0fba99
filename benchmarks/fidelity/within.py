"""Measure on this kernel and print a report as JSON: ``python -m benchmarks.fidelity.within WHAT...``."""

from __future__ import annotations

import sys

import msgspec

from benchmarks.fidelity import impaired, timers
from benchmarks.fidelity.readings import Report
from halfopen.netns import capabilities, isolation

#: The parts that can be measured. Each fills its part of a report.
PARTS = ("waits", "long-waits", "clocks", "tcp", "network")


def measure(parts: list[str]) -> Report:
    """Measure the ``parts`` named in PARTS. ``tcp`` and ``network`` need private namespaces."""
    rounds = timers.ROUNDS | (timers.LONG_ROUNDS if "long-waits" in parts else {})
    netem = "network" in parts and impaired.has_netem()
    return Report(
        release=capabilities.kernel_release(),
        jiffy=timers.jiffy(),
        waits=[
            *(timers.measure(rounds) if "waits" in parts else ()),
            *(timers.measure_tcp() if "tcp" in parts else ()),
        ],
        clocks=timers.clocks() if "clocks" in parts else None,
        delays=list(impaired.delays()) if netem else [],
        losses=list(impaired.losses()) if netem else [],
        rates=list(impaired.rates()) if "network" in parts else [],
    )


def main(parts: list[str]) -> int:
    assert set(parts) <= set(PARTS), parts
    sys.stdout.buffer.write(msgspec.json.encode(measure(parts)))
    return 0


if __name__ == "__main__":
    sys.exit(isolation.run(lambda: main(sys.argv[1:])))
