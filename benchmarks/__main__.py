"""``python -m benchmarks``: run all benchmarks, or those named.

There are hosts, dumps, probe, watchers, watch, guard, grace, guests.
"""

from __future__ import annotations

import sys

from benchmarks import dumps, grace, guard, guests, hosts, probe, watch, watchers

ALL = {
    "hosts": hosts.run,
    "dumps": dumps.run,
    "probe": probe.run,
    "watchers": watchers.run,
    "watch": watch.run,
    "guard": guard.run,
    "grace": grace.run,
    "guests": guests.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark {unknown[0]!r}: there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        ALL[name]()
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
