"""What is on the machine that a lab could leave behind: processes, namespaces, interfaces, mounts."""

from __future__ import annotations

import os
import time
from pathlib import Path

from netns.capabilities import read_file

#: The kernel takes dead namespaces apart in the background, after an RCU grace period or a few.
_PATIENCE = 10.0
_STEP = 0.02

Stock = dict[str, frozenset[str]]


def take_stock() -> Stock:
    """Everything of each kind that there is now, by a name that no two have."""
    pids = [entry for entry in os.listdir("/proc") if entry.isdigit()]
    return {
        "processes": frozenset(name for pid in pids if (name := _process(pid))),
        "namespaces": frozenset(f"{kind} {link}" for pid in pids for kind, link in _namespaces(pid)),
        "interfaces": frozenset(os.listdir("/sys/class/net")),
        "mounts": frozenset((read_file("/proc/self/mounts") or "").splitlines()),
        "files in /run": frozenset(str(path) for path in Path("/run").glob("*")),
    }


def since(before: Stock) -> dict[str, list[str]]:
    """What has come since ``before`` and stays; waits for what is about to go."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        now = take_stock()
        left = {kind: sorted(now[kind] - before[kind]) for kind in now if now[kind] - before[kind]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_STEP)


def network_namespaces() -> int | None:
    """How many network namespaces the kernel holds, those without a process too; None if it does not tell."""
    for line in (read_file("/proc/slabinfo") or "").splitlines():
        if line.startswith("net_namespace "):
            return int(line.split()[1])
    return None


def _process(pid: str) -> str | None:
    stat = read_file(f"/proc/{pid}/stat")
    if stat is None:
        return None
    name, _, rest = stat.rpartition(")")
    fields = rest.split()
    # A zombie only waits for its parent, which may be the machine's init, to look; kernel threads come and go.
    if fields[0] in {"Z", "X"} or fields[1] == "2":
        return None
    return f"{name}) started {fields[19]}"


def _namespaces(pid: str) -> list[tuple[str, str]]:
    found = []
    for kind in ("net", "pid", "user", "mnt"):
        try:
            found.append((kind, os.readlink(f"/proc/{pid}/ns/{kind}")))
        except OSError:
            continue
    return found
