"""Orders to a pod, a word a line on its standard input: what is done to the server itself is done by it."""

from __future__ import annotations

import ctypes
import io
import sys
import threading
from collections.abc import Callable, Mapping

from halfopen.pod.holding import Hold
from halfopen.pod.log import log

#: Seconds between two times that a thread asks for the lock, while it is held for long.
_PATIENT = 1.0


def start(hold: Hold) -> None:
    """Obey what comes on standard input from now on, in a daemon thread, until it ends."""
    deeds: dict[str, Callable[[int], None]] = {
        "hold-gil": _hold_gil,
        "hold-watchdog": lambda _: hold.hold(),
        "release-watchdog": lambda _: hold.release(),
    }
    words = io.FileIO(sys.stdin.fileno(), closefd=False)
    threading.Thread(target=_obey, args=(words, deeds), name="control", daemon=True).start()


def _obey(words: io.FileIO, deeds: Mapping[str, Callable[[int], None]]) -> None:
    # Unbuffered: what follows a word may be for the deed itself to read.
    while line := words.readline():
        word = line.decode(errors="replace").strip()
        if deed := deeds.get(word):
            deed(words.fileno())
        elif word:
            log("unknown_order", word=word)


def _hold_gil(descriptor: int) -> None:
    """Hold the interpreter's lock until the next byte comes, as a native call does that never lets go of it.

    A function of PyDLL is called with the lock held (the manual of ctypes, "Loading shared libraries"): no other
    thread runs Python meanwhile. Ends with the input, too.
    """
    log("gil_held")
    interval = sys.getswitchinterval()
    # Whoever waits for the lock asks for it anew in this interval, which changes nothing here but what it costs.
    sys.setswitchinterval(_PATIENT)
    ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), ctypes.c_size_t(1))
    sys.setswitchinterval(interval)
    log("gil_released")
