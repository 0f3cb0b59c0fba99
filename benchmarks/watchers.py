"""Cost of watching ten thousand connections: the share of a core at a poll of 2 s, and the longest turn."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection

from benchmarks.measuring import show
from halfopen.liveness import AsyncWatch, AsyncWatcher, Watch, Watcher

CONNECTIONS = 10_000
POLL = 2.0
POLLS = 5
#: Number of connections sampled in one turn: a twentieth of all.
A_TURN = CONNECTIONS // 20
_BACKLOG = 100


def run() -> None:
    print(f"Watching {CONNECTIONS:,} connections from one thread, and from an event loop, at a poll of {POLL:g} s")
    print(f"  {'':<44} {'of a core':>10} {'a look':>10} {'longest turn':>13}")
    with connections(CONNECTIONS) as (servers, order):
        _measure("nothing queued", servers)
        for server in servers:
            server.send(bytes(4000))
        order("read")
        _measure("something sent and read", servers)
        for server in servers:
            with contextlib.suppress(BlockingIOError):
                while server.send(bytes(65536)):
                    pass
        _measure("stalled behind a closed window", servers)
        asyncio.run(_measure_loop("the same, from an event loop", servers))
        asyncio.run(_measure_loop("the same, found among the descriptors", servers, is_listener=True))


async def _measure_loop(name: str, servers: list[socket.socket], *, is_listener: bool = False) -> None:
    watcher = AsyncWatcher(grace=3600.0, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        watches: list[AsyncWatch] = []
        if is_listener:
            watching.enter_context(watcher.watch_listener())
        else:
            watches = [watching.enter_context(watcher.watch(server)) for server in servers]
        await asyncio.sleep(2 * POLL)
        began, spent = time.monotonic(), time.process_time()
        await asyncio.sleep(POLLS * POLL)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        looks = [_seconds(watches[first : first + A_TURN]) for first in range(0, len(watches), A_TURN)]
    if not looks:
        print(f"  {name:<44} {share:>9.2%}")
        return
    print(f"  {name:<44} {share:>9.2%} {show(statistics.median(looks) / A_TURN):>10} {show(max(looks)):>13}")


def _measure(name: str, servers: list[socket.socket]) -> None:
    # With such a long grace no client is found dead, so only the samples are measured.
    watcher = Watcher(grace=3600.0, poll=POLL, bound_rto=False)
    with contextlib.ExitStack() as watching:
        watches = [watching.enter_context(watcher.watch(server, lambda _: None)) for server in servers]
        time.sleep(POLL)  # the watcher takes the first samples by itself
        began, spent = time.monotonic(), time.process_time()
        time.sleep(POLLS * POLL)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        looks = [_seconds(watches[first : first + A_TURN]) for first in range(0, CONNECTIONS, A_TURN)]
    print(f"  {name:<44} {share:>9.2%} {show(statistics.median(looks) / A_TURN):>10} {show(max(looks)):>13}")


def _seconds(watches: Sequence[Watch | AsyncWatch]) -> float:
    """CPU seconds of one turn: its connections one after the other, as in the watcher's thread."""
    began = time.thread_time()
    for watch in watches:
        watch.look()
    return time.thread_time() - began


@contextlib.contextmanager
def connections(count: int) -> Iterator[tuple[list[socket.socket], Callable[[str], None]]]:
    """Yield the servers' ends, and a function that sends an order to the clients' process.

    The clients have their own process because of the limit on open files.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ours, theirs = multiprocessing.Pipe()
    with contextlib.ExitStack() as closing, socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        clients = multiprocessing.get_context("spawn").Process(
            target=_clients, args=(listener.getsockname(), count, theirs), daemon=True
        )
        clients.start()
        servers = [closing.enter_context(listener.accept()[0]) for _ in range(count)]
        for server in servers:
            server.setblocking(False)

        def order(word: str) -> None:
            ours.send(word)
            ours.recv()

        yield servers, order
        order("end")
        clients.join()


def _clients(address: tuple[str, int], count: int, orders: Connection) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    socks = []
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(address)
        socks.append(sock)
    while orders.recv() == "read":
        for sock in socks:
            sock.recv(65536)
        orders.send("done")
    orders.send("done")
