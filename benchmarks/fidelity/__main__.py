"""``python -m benchmarks.fidelity``: measure on each kernel and print tables; ``--write`` puts them into the docs."""

from __future__ import annotations

import datetime
import os
import platform
import re
import sys
from pathlib import Path

from benchmarks import document
from benchmarks.fidelity import tables
from benchmarks.fidelity.kernels import Kernel, measure
from benchmarks.fidelity.readings import Report

SECTION = "fidelity"

_PARTS = ("waits", "clocks", "tcp", "network")
#: Parts to measure on each kernel. Only the virtual clock skips idle time, so only it waits for a minute.
_ASKED = {Kernel.VIRTUAL: (*_PARTS, "long-waits"), Kernel.REAL: _PARTS, Kernel.HOST: _PARTS}


def run() -> str:
    """Measure everything; return it as text, with a line on the machine and the kernels."""
    reports = {kernel: measure(kernel, *parts) for kernel, parts in _ASKED.items()}
    return f"{_where(reports)}\n\n{tables.everything(reports)}"


def _where(reports: dict[Kernel, Report]) -> str:
    guest, host = reports[Kernel.VIRTUAL], reports[Kernel.HOST]
    return (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by `make fidelity` on {_processor()} with "
        f"{os.cpu_count()} cores: guest Linux {guest.release} (HZ={1 / guest.jiffy:.0f}), the machine's own Linux "
        f"{host.release} (HZ={1 / host.jiffy:.0f}), Python {platform.python_version()}."
    )


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        print(
            f"unknown arguments {arguments}: there is --write, which puts the tables into {document.DOCUMENT}",
            file=sys.stderr,
        )
        return 2
    text = run()
    print(text)
    if arguments:
        document.put(SECTION, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
