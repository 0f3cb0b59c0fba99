"""Anything on the machine that a lab could leave behind: processes, namespaces, interfaces, mounts."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from halfopen.netns.capabilities import read_file

#: Seconds to wait: the kernel takes dead namespaces apart in the background, after an RCU grace period or a few.
_PATIENCE = 10.0
_STEP = 0.02
#: Number of equal counts in a row after which the rest is taken to stay.
_STEADY = 5

#: Set in pytest's own environment. It distinguishes everything that the tests start, however deep, from what other
#: pytests start, and from the other processes of this one (pytest-xdist).
MARK = "HALFOPEN_TESTS"
_INIT = "1"
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if not os.environ.get(MARK, "").endswith(f"/{_WORKER}"):
    os.environ[MARK] = f"{os.getpid()}-{time.monotonic_ns()}/{_WORKER}"

Stock = dict[str, frozenset[str]]


def _processes() -> set[str]:
    return {entry for entry in os.listdir("/proc") if entry.isdigit()}


#: Processes that existed before any test, and so are nobody's leftovers while they last.
_OTHERS = _processes()


def take_stock() -> Stock:
    """Return the processes that tests started and their namespaces, each with a unique name."""
    there = _processes()
    _OTHERS.intersection_update(there)
    pids = [pid for pid in there - _OTHERS if _is_ours(pid)]
    return {
        "processes": frozenset(name for pid in pids if (name := _process(pid))),
        "namespaces": frozenset(f"{kind} {link}" for pid in pids for kind, link in _namespaces(pid)),
    }


def take_stock_of_the_machine() -> Stock:
    """Return these and anything that belongs to no process. Others may change the latter at any time."""
    return take_stock() | {
        "interfaces": frozenset(os.listdir("/sys/class/net")),
        "mounts": frozenset((read_file("/proc/self/mounts") or "").splitlines()),
        "files in /run": frozenset(str(path) for path in Path("/run").glob("*")),
    }


def since(before: Stock) -> dict[str, list[str]]:
    """Return anything that has come since ``before`` and stays. Waits for the rest to go."""
    deadline = time.monotonic() + _PATIENCE
    take = take_stock_of_the_machine if "interfaces" in before else take_stock
    while True:
        now = take()
        left = {kind: sorted(now[kind] - before[kind]) for kind in now if now[kind] - before[kind]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_STEP)


def count_since(before: Stock) -> int:
    """Return how many processes of tests there are now that were not there ``before``."""
    return len(take_stock()["processes"] - before["processes"])


def network_namespaces() -> int | None:
    """Return the number of network namespaces in the kernel, even those without a process; None if it is not reported.

    Each is an object of its own slab. Those that ended last are only freed with the next one that ends
    (net/core/net_namespace.c, net_complete_free). Freed ones stay on per-CPU lists, and count, until the slab is
    shrunk.
    """
    slab = Path("/sys/kernel/slab/net_namespace")
    try:
        subprocess.run(["unshare", "--net", "true"], check=True, stderr=subprocess.DEVNULL)
        counts: list[int] = []
        while len(counts) < _STEADY or len(set(counts[-_STEADY:])) > 1:
            (slab / "shrink").write_text("1")
            counts.append(int((slab / "objects").read_text().split()[0]))
            time.sleep(_STEP)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return counts[-1]


def _is_ours(pid: str) -> bool:
    environment = read_file(f"/proc/{pid}/environ")
    if environment:
        return f"{MARK}={os.environ[MARK]}" in environment.split("\0")
    # A guest's kernel gives no environment to the processes in which it runs its own. One that outlives it is init's.
    name, fields = _stat(pid)
    return name.endswith("(uml-userspace") and (fields[1] == _INIT or _is_ours(fields[1]))


def _stat(pid: str) -> tuple[str, list[str]]:
    """Return a process's id and name, and its fields from the state on (proc_pid_stat(5)); empty if it is gone."""
    name, _, rest = (read_file(f"/proc/{pid}/stat") or "").rpartition(")")
    return name, rest.split()


def _process(pid: str) -> str | None:
    name, fields = _stat(pid)
    if not fields:
        return None
    # A zombie only waits for its parent, perhaps the machine's init, to reap it. Kernel threads come and go.
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


def wait_for_a_stopped_process(ancestor: int, patience: float) -> int | None:
    """Return the id of a process below ``ancestor`` that was stopped by a signal; None if there is none in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for pid in processes_below(ancestor):
            stat = read_file(f"/proc/{pid}/stat") or ""
            if stat.rpartition(")")[2].split()[:1] == ["T"]:
                return pid
        time.sleep(_STEP)
    return None


def processes_below(pid: int) -> list[int]:
    """Return all descendants of a process, by its threads' children (proc(5), task/.../children); none if it ended."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    listings = [read_file(f"/proc/{pid}/task/{thread}/children") or "" for thread in threads]
    children = [int(child) for listing in listings for child in listing.split()]
    return children + [below for child in children for below in processes_below(child)]
