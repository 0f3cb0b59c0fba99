"""What is on the machine that a lab could leave behind: processes, namespaces, interfaces, mounts."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from halfopen.netns.capabilities import read_file

#: The kernel takes dead namespaces apart in the background, after an RCU grace period or a few.
_PATIENCE = 10.0
_STEP = 0.02
#: So many counts in a row that do not differ are taken for what stays.
_STEADY = 5

#: Set in pytest's own environment, so that whatever the tests start, however deep, can be told from others: from what
#: other pytests start, and the other processes of this one (pytest-xdist).
MARK = "HALFOPEN_TESTS"
_INIT = "1"
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if not os.environ.get(MARK, "").endswith(f"/{_WORKER}"):
    os.environ[MARK] = f"{os.getpid()}-{time.monotonic_ns()}/{_WORKER}"

Stock = dict[str, frozenset[str]]


def _processes() -> set[str]:
    return {entry for entry in os.listdir("/proc") if entry.isdigit()}


#: Were there before any test, and so are nobody's leftovers, for as long as they have not gone.
_OTHERS = _processes()


def take_stock() -> Stock:
    """The processes that tests started and the namespaces they are in, by names that no two have."""
    there = _processes()
    _OTHERS.intersection_update(there)
    pids = [pid for pid in there - _OTHERS if _is_ours(pid)]
    return {
        "processes": frozenset(name for pid in pids if (name := _process(pid))),
        "namespaces": frozenset(f"{kind} {link}" for pid in pids for kind, link in _namespaces(pid)),
    }


def take_stock_of_the_machine() -> Stock:
    """The same, and what belongs to no process; others may change that at any time."""
    return take_stock() | {
        "interfaces": frozenset(os.listdir("/sys/class/net")),
        "mounts": frozenset((read_file("/proc/self/mounts") or "").splitlines()),
        "files in /run": frozenset(str(path) for path in Path("/run").glob("*")),
    }


def since(before: Stock) -> dict[str, list[str]]:
    """What has come since ``before`` and stays; waits for what is about to go."""
    deadline = time.monotonic() + _PATIENCE
    take = take_stock_of_the_machine if "interfaces" in before else take_stock
    while True:
        now = take()
        left = {kind: sorted(now[kind] - before[kind]) for kind in now if now[kind] - before[kind]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_STEP)


def count_since(before: Stock) -> int:
    """How many processes that tests started there are now that were not there ``before``."""
    return len(take_stock()["processes"] - before["processes"])


def network_namespaces() -> int | None:
    """How many network namespaces the kernel holds, those without a process too; None if it does not tell.

    Each is an object of a slab of its own. Those that ended last are only freed with the next that ends
    (net/core/net_namespace.c, net_complete_free), and freed ones stay on per-CPU lists, and count, until
    the slab is shrunk.
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
    # A guest's kernel gives the processes in which it runs its own no environment. One that outlives it is init's.
    name, fields = _stat(pid)
    return name.endswith("(uml-userspace") and (fields[1] == _INIT or _is_ours(fields[1]))


def _stat(pid: str) -> tuple[str, list[str]]:
    """A process's id and name, and the fields from its state on (proc_pid_stat(5)); of none that is gone."""
    name, _, rest = (read_file(f"/proc/{pid}/stat") or "").rpartition(")")
    return name, rest.split()


def _process(pid: str) -> str | None:
    name, fields = _stat(pid)
    if not fields:
        return None
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


def wait_for_a_stopped_process(ancestor: int, patience: float) -> int | None:
    """The id of a process below ``ancestor`` that was stopped by a signal, None if there is none in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for pid in processes_below(ancestor):
            stat = read_file(f"/proc/{pid}/stat") or ""
            if stat.rpartition(")")[2].split()[:1] == ["T"]:
                return pid
        time.sleep(_STEP)
    return None


def processes_below(pid: int) -> list[int]:
    """The children of every thread of a process, and theirs (proc(5), task/.../children); of one that ends, none."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    listings = [read_file(f"/proc/{pid}/task/{thread}/children") or "" for thread in threads]
    children = [int(child) for listing in listings for child in listing.split()]
    return children + [below for child in children for below in processes_below(child)]
