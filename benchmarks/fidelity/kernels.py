"""Run the measurements on each kernel: the guest on either clock, and the machine's own."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum

import msgspec

from benchmarks.fidelity.readings import Report
from halfopen.netns.guest import booting, cache
from halfopen.netns.guest.script import Boot

_MEASURE = [sys.executable, "-m", "benchmarks.fidelity.within"]
#: Seconds of wall time. On a real clock the waits alone take a minute.
_LIMIT = 900.0


class Kernel(StrEnum):
    """A kernel and its clock."""

    VIRTUAL = "guest-virtual"
    REAL = "guest-real"
    HOST = "host-real"


def measure(kernel: Kernel, *parts: str) -> Report:
    """Measure ``parts`` (benchmarks.fidelity.within.PARTS) on a kernel, in a separate process."""
    command = [sys.executable, "-m", __name__, kernel, *parts]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Report)


def _main(kernel: Kernel, parts: list[str]) -> int:
    command = [*_MEASURE, *parts]
    if kernel is Kernel.HOST:
        return subprocess.run(command, check=False).returncode
    guest = cache.newest()
    if guest is None:
        print("there is no guest kernel yet; build it once with: make kernel", file=sys.stderr)
        return 2
    virtual = kernel is Kernel.VIRTUAL
    return booting.run(Boot(kernel=guest, command=command, virtual=virtual, wall_limit=_LIMIT))


if __name__ == "__main__":
    sys.exit(_main(Kernel(sys.argv[1]), sys.argv[2:]))
