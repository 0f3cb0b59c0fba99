"""Stop signals that arrive while the main thread waits."""

from __future__ import annotations

import subprocess
import sys

#: The handler runs in another thread, so nothing wakes the main thread. The same happens if the signal comes just
#: before it begins to wait.
_UNNOTICED = """
import signal, sys, threading, time
from concurrent.futures import Future
from halfopen.netns.interrupts import as_completed

never = Future()

def interrupt():
    time.sleep(0.1)
    while ") S " not in open(f"/proc/self/task/{main}/stat").read():
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

main = threading.get_native_id()
threading.Thread(target=interrupt, daemon=True).start()
try:
    list(as_completed([never]))
except KeyboardInterrupt:
    sys.exit(7)
"""
#: Seconds beyond any machine's start of Python. A process that waits forever is killed.
_PATIENCE = 60.0


def test_an_interrupt_that_wakes_nobody_ends_a_wait_all_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", _UNNOTICED], capture_output=True, timeout=_PATIENCE, check=False)
    assert ran.returncode == 7, ran
