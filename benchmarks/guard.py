"""Cost of ``halfopen guard`` at a poll of 2 s: the share of a core and the memory, beside ``ss -tinH`` once a poll."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import show
from benchmarks.watchers import connections
from halfopen.guard.decision import Guard, GuardTerms
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.guard_loop import GuardLoop
from halfopen.guard.guarded_server import GuardedServer
from halfopen.guard.socket_ender import SocketEnder
from halfopen.liveness.rule import Terms
from halfopen.netns.census import Census

SESSIONS = (1_000, 10_000)
POLL = 2.0
#: As many as make the rare whole polls count by their share.
POLLS = 32
#: Real seconds between two polls here.
_STEP = 0.05


def run() -> None:
    print(f"halfopen guard, a poll every {POLL:g} s")
    print(f"  {'sessions':>8} {'':<28} {'of a core':>10} {'a poll':>10} {'longest':>10} {'memory':>10}")
    for count in SESSIONS:
        with connections(count) as (servers, order):
            _measure(count, "nothing queued", servers, lambda: None)
            _measure(count, "each sent to between two polls", servers, lambda: _stream(servers, order))
            _measure(count, "one in a hundred stalled", servers, lambda: _fill(servers[::100]))
            _ss(count, servers)


def _stream(servers: list[socket.socket], order: Callable[[str], None]) -> None:
    for sock in servers:
        sock.send(bytes(1000))
    order("read")


def _fill(servers: list[socket.socket]) -> None:
    for sock in servers:
        with contextlib.suppress(BlockingIOError):
            while sock.send(bytes(65536)):
                pass


def _measure(count: int, name: str, servers: list[socket.socket], between: Callable[[], None]) -> None:
    port = servers[0].getsockname()[1]
    guard = Guard(GuardTerms(Terms(3600.0, POLL, half_closed=3600.0)))
    taken = []
    with contextlib.closing(Census()) as census, Path(os.devnull).open("w") as stream:
        server = GuardedServer(census, lambda: [os.getpid()], [port])
        loop = GuardLoop(
            census, server, guard, SocketEnder(census, server, []), GuardLog(stream, json=True), poll=_STEP, is_dry=True
        )
        for _ in range(POLLS):
            between()
            time.sleep(_STEP)
            began = time.process_time()
            loop.step()
            taken.append(time.process_time() - began)
    mean, memory = statistics.mean(taken), _memory(port)
    costs = f"{mean / POLL:>9.1%} {show(mean):>10} {show(max(taken)):>10}"
    print(f"  {count:>8,} {name:<28} {costs} {memory / 1e6:>7.0f} MB")


def _memory(port: int) -> int:
    """Return the resident bytes of the command after some polls."""
    command = [sys.executable, "-m", "halfopen", "guard", "--dry-run", "--poll", "100ms", "--listen", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(5)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


def _ss(count: int, servers: list[socket.socket]) -> None:
    command = ["ss", "-tinH", "sport", "=", f":{servers[0].getsockname()[1]}"]
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    mean = statistics.mean(taken)
    print(f"  {count:>8,} {'ss -tinH':<28} {mean / POLL:>9.1%} {show(mean):>10} {show(max(taken)):>10}")
