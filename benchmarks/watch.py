"""Cost of a sample of ``halfopen watch`` at ten thousand sessions: the share of a core at one sample a second."""

from __future__ import annotations

import contextlib
import io
import socket
import statistics
import time
from collections.abc import Callable

from rich.console import Console

from benchmarks.measuring import show
from benchmarks.watchers import connections
from halfopen.cli import watch_screen
from halfopen.watch import watched_server, watched_sessions
from halfopen.watch.poller import Poller

CONNECTIONS = 10_000
LOOKS = 10
INTERVAL = 1.0
_DETECTOR = "bytes-acked"
_JUDGES = watched_sessions.judges(30.0, 2.0, _DETECTOR)
_LINES = 50


def run() -> None:
    print(f"halfopen watch, {CONNECTIONS:,} sessions on one port, a look every {INTERVAL:g} s")
    print(f"  {'':<44} {'of a core':>10} {'a look':>10} {'longest':>10}")
    with connections(CONNECTIONS) as (servers, order):
        _measure("nothing queued", servers, lambda: None)
        _measure("streaming: each sent to between two looks", servers, lambda: _stream(servers, order))
        _measure("one in a hundred stalled", servers, lambda: _fill(servers[::100]))
        _measure("all of them stalled", servers, lambda: _fill(servers))
        _measure("all of them queued and moving", servers, lambda: _move(servers, order))
        _whole("all of them, whole as JSON", servers)


def _stream(servers: list[socket.socket], order: Callable[[str], None]) -> None:
    for sock in servers:
        sock.send(bytes(1000))
    order("read")


def _move(servers: list[socket.socket], order: Callable[[str], None]) -> None:
    order("read")
    _fill(servers)


def _fill(servers: list[socket.socket]) -> None:
    for sock in servers:
        with contextlib.suppress(BlockingIOError):
            while sock.send(bytes(65536)):
                pass


def _measure(name: str, servers: list[socket.socket], between: Callable[[], None]) -> None:
    """Measure the samples and their display on a terminal of fifty lines. ``between`` runs unmeasured before each."""
    port = servers[0].getsockname()[1]
    poller = Poller(watched_server.find(None, [port]), _JUDGES, whole=False)
    console = Console(width=120, height=_LINES, force_terminal=True, file=io.StringIO())
    taken = []
    for _ in range(LOOKS + 1):
        between()
        began = time.process_time()
        poller.poll()
        console.print(watch_screen.live(poller.table(_DETECTOR, _LINES), 120, _LINES))
        taken.append(time.process_time() - began)
        time.sleep(INTERVAL / LOOKS)
    _tell(name, taken[1:])


def _whole(name: str, servers: list[socket.socket]) -> None:
    poller = Poller(watched_server.find(None, [servers[0].getsockname()[1]]), _JUDGES, whole=True)
    began = time.process_time()
    poller.poll()
    poller.as_data()
    _tell(name, [time.process_time() - began])


def _tell(name: str, taken: list[float]) -> None:
    middle = statistics.median(taken)
    print(f"  {name:<44} {middle / INTERVAL:>9.1%} {show(middle):>10} {show(max(taken)):>10}")
