"""The ways to wait that a server in Python or Node.js may use. Each returns the seconds that it took."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import math
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.fidelity.promises import Timer

Way = Callable[[float], float]

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC = 1

_NODE = """
require('readline').createInterface({input: process.stdin}).on('line', (ms) => {
    const began = process.hrtime.bigint();
    setTimeout(() => console.log(Number(process.hrtime.bigint() - began) / 1e9), Number(ms));
});
"""


def ways() -> dict[str, tuple[Timer, Way]]:
    """Return all ways by name, Node.js only if it is installed."""
    every: dict[str, tuple[Timer, Way]] = {
        "time.sleep": (Timer.SLACK, _timed(time.sleep)),
        "nanosleep in C": (Timer.SLACK, _timed(_nanosleep)),
        "select.select": (Timer.RANGE, _timed(lambda asked: select.select([], [], [], asked))),
        "select.poll": (Timer.RANGE, _timed(lambda asked: select.poll().poll(asked * 1000))),
        "select.epoll": (Timer.RANGE, _epoll),
        "socket.settimeout": (Timer.RANGE, _socket_timeout),
        "asyncio.sleep": (Timer.MILLISECONDS, _asyncio),
        "threading.Lock": (Timer.SLACK, _lock),
        "threading.Condition": (Timer.SLACK, _condition),
        "threading.Event": (Timer.SLACK, _timed(lambda asked: threading.Event().wait(asked))),
        "Popen.wait": (Timer.SLACK, _process),
        "setitimer, sigwait": (Timer.EXACT, _interval_timer),
        "signal.sigtimedwait": (Timer.SLACK, _timed(lambda asked: signal.sigtimedwait({signal.SIGUSR1}, asked))),
        "timerfd": (Timer.EXACT, _timerfd),
        "SO_RCVTIMEO": (Timer.WHEEL, functools.partial(_socket_option, socket.SO_RCVTIMEO)),
        "SO_SNDTIMEO": (Timer.WHEEL, functools.partial(_socket_option, socket.SO_SNDTIMEO)),
    }
    if node := shutil.which("node"):
        every["Node.js setTimeout"] = (Timer.MILLISECONDS, functools.partial(_node, node))
    return every


def elapsed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes, by CLOCK_MONOTONIC."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _timed(wait: Callable[[float], object]) -> Way:
    return lambda asked: elapsed(lambda: wait(asked))


def _timespec(asked: float) -> tuple[int, int]:
    return divmod(round(asked * 1e9), 10**9)


def _nanosleep(asked: float) -> None:
    _LIBC.nanosleep((ctypes.c_long * 2)(*_timespec(asked)), None)


def _epoll(asked: float) -> float:
    with select.epoll() as poller:
        return elapsed(lambda: poller.poll(asked))


def _socket_timeout(asked: float) -> float:
    return _receive(lambda mine: mine.settimeout(asked), TimeoutError)


def _receive(prepare: Callable[[socket.socket], None], ends_with: type[OSError]) -> float:
    mine, other = socket.socketpair()
    with mine, other:
        prepare(mine)
        return elapsed(lambda: _expect(ends_with, lambda: mine.recv(1)))


def _expect(error: type[Exception], work: Callable[[], Any]) -> None:
    try:
        work()
    except error:
        return
    raise AssertionError(f"no {error.__name__} came")


def _asyncio(asked: float) -> float:
    async def wait() -> float:
        began = time.monotonic()
        await asyncio.sleep(asked)
        return time.monotonic() - began

    return asyncio.run(wait())


def _lock(asked: float) -> float:
    lock = threading.Lock()
    with lock:
        return elapsed(lambda: lock.acquire(timeout=asked))


def _condition(asked: float) -> float:
    condition = threading.Condition()
    with condition:
        return elapsed(lambda: condition.wait(asked))


def _process(asked: float) -> float:
    with subprocess.Popen(["sleep", "infinity"]) as process:
        try:
            return elapsed(lambda: _expect(subprocess.TimeoutExpired, lambda: process.wait(asked)))
        finally:
            process.kill()


def _interval_timer(asked: float) -> float:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:

        def wait() -> None:
            signal.setitimer(signal.ITIMER_REAL, asked)
            signal.sigwait({signal.SIGALRM})

        return elapsed(wait)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _timerfd(asked: float) -> float:
    fd = _LIBC.timerfd_create(_CLOCK_MONOTONIC, 0)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    try:

        def wait() -> None:
            _LIBC.timerfd_settime(fd, 0, (ctypes.c_long * 4)(0, 0, *_timespec(asked)), None)
            os.read(fd, 8)

        return elapsed(wait)
    finally:
        os.close(fd)


def _socket_option(option: int, asked: float) -> float:
    mine, other = socket.socketpair()
    with mine, other:
        mine.setblocking(False)
        if option == socket.SO_SNDTIMEO:
            _fill(mine)
        mine.setblocking(True)
        fraction, whole = math.modf(asked)
        mine.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(whole), round(fraction * 1e6)))
        work = (lambda: mine.send(b"x")) if option == socket.SO_SNDTIMEO else (lambda: mine.recv(1))
        return elapsed(lambda: _expect(BlockingIOError, work))


def _fill(sock: socket.socket) -> None:
    try:
        while True:
            sock.send(bytes(1024))
    except BlockingIOError:
        return


@functools.cache
def _node_process(node: str) -> subprocess.Popen[str]:
    # Node.js ends when its standard input closes, so when this process ends.
    return subprocess.Popen([node, "-e", _NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def _node(node: str, asked: float) -> float:
    process = _node_process(node)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{asked * 1000:.0f}\n")
    return float(process.stdout.readline())
