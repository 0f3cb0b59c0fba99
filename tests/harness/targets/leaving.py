"""A server that leaves a process behind in a given way, and then listens: ``leaving.py WAY PORT``."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _NEW_PID = 0x10000000, 0x20000000
#: Number of exit(2), which ends one thread.
_EXIT = 60 if platform.machine() == "x86_64" else 93


def rest() -> None:
    while True:
        time.sleep(1000)


def child(work: Callable[[], None]) -> None:
    """Run ``work`` in a process of its own session, and go on once it has that."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(write)
        try:
            work()
        finally:
            os._exit(1)
    os.close(write)
    os.read(read, 1)
    os.close(read)


def daemon(work: Callable[[], None] = rest) -> None:
    """Fork twice, so that init is the parent."""

    def between() -> None:
        if os.fork() == 0:
            work()
        os._exit(0)

    child(between)
    os.wait()


def own_group() -> None:
    if os.fork() == 0:
        os.setpgid(0, 0)
        rest()


def clean_daemon() -> None:
    """Do as daemon(7) says."""

    def tidy() -> None:
        os.chdir("/")
        os.closerange(0, 1 << 10)
        rest()

    daemon(tidy)


def threads() -> None:
    """Leave a process whose main thread has ended."""
    if (pid := os.fork()) == 0:
        os.setsid()
        threading.Thread(target=rest).start()
        _LIBC.syscall(_EXIT, 0)
    while ") Z " not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.001)


def stopped() -> None:
    child(lambda: os.kill(os.getpid(), signal.SIGSTOP))


def deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    child(rest)


def hydra() -> None:
    """Leave two processes, each of which starts the other again."""

    def live() -> None:
        while True:
            read, write = os.pipe()
            if os.fork():
                os.close(read)
                os.wait()
                os.close(write)
            else:
                os.setsid()
                os.close(write)
                os.read(read, 1)  # until the parent has ended
                os.close(read)

    child(live)


def relay() -> None:
    """Leave a process that hands over to a child of its own every few milliseconds."""

    def run() -> None:
        while True:
            time.sleep(0.005)
            if os.fork():
                os._exit(0)

    daemon(run)


def own_namespaces() -> None:
    """Leave the init of a user and a pid namespace, with a child."""

    def enter() -> None:
        if _LIBC.unshare(_NEW_USER | _NEW_PID):
            raise OSError(ctypes.get_errno(), "unshare")
        if os.fork() == 0:
            os.fork()
            rest()
        os._exit(0)

    child(enter)


def talker() -> None:
    """Leave a grandchild that prints into our output without end."""

    def talk() -> None:
        while True:
            print("still here", flush=True)
            time.sleep(0.001)

    daemon(talk)


WAYS: dict[str, Callable[[], None]] = {
    "session": lambda: child(rest),
    "group": own_group,
    "two-forks": daemon,
    "daemon": clean_daemon,
    "threads": threads,
    "stopped": stopped,
    "deaf": deaf,
    "hydra": hydra,
    "relay": relay,
    "namespaces": own_namespaces,
    "talker": talker,
    "listener": lambda: None,
}


def main(way: str, port: str) -> None:
    WAYS[way]()
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", int(port)))
        if way == "listener":
            child(rest)  # before anything listens, so that whoever connects finds both
        listener.listen()
        if way == "listener":
            listener.close()
        rest()


if __name__ == "__main__":
    main(*sys.argv[1:])
