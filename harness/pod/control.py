"""Orders to a pod, one word a line on its standard input: faults of the server itself are carried out by it."""

from __future__ import annotations

import ctypes
import io
import sys
import threading
from collections.abc import Callable, Mapping

from halfopen.pod.detector_hold import Hold
from halfopen.pod.log import log

#: Seconds between a thread's requests for the lock, while it is held for long.
_PATIENT = 1.0


def start(hold: Hold) -> None:
    """Obey standard input from now on, in a daemon thread, until it ends."""
    deeds: dict[str, Callable[[int], None]] = {
        "hold-gil": _hold_gil,
        "hold-watchdog": lambda _: hold.hold(),
        "release-watchdog": lambda _: hold.release(),
    }
    words = io.FileIO(sys.stdin.fileno(), closefd=False)
    threading.Thread(target=_obey, args=(words, deeds), name="control", daemon=True).start()


def _obey(words: io.FileIO, deeds: Mapping[str, Callable[[int], None]]) -> None:
    # Unbuffered: the action itself may read the bytes after its word.
    while line := words.readline():
        word = line.decode(errors="replace").strip()
        if deed := deeds.get(word):
            deed(words.fileno())
        elif word:
            log("unknown_order", word=word)


def _hold_gil(descriptor: int) -> None:
    """Hold the interpreter's lock until the next byte arrives, as a native call that never releases it does.

    A function of PyDLL is called with the lock held (the manual of ctypes, "Loading shared libraries"). No other thread
    runs Python meanwhile. The end of the input ends it too.
    """
    log("gil_held")
    interval = sys.getswitchinterval()
    # Threads waiting for the lock request it again in this interval. A longer one only saves their CPU time.
    sys.setswitchinterval(_PATIENT)
    ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), ctypes.c_size_t(1))
    sys.setswitchinterval(interval)
    log("gil_released")
