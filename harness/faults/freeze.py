"""The client's process stops, its kernel lives on: a sleeping laptop, a frozen tab, a debugger's breakpoint.

The kernel acknowledges until its receive buffer is full, then answers every zero-window probe. So the connection stays
ESTABLISHED for ever (RFC 9293, section 3.8.6.1).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager

from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof, established, window_closed
from halfopen.model.timeline import Timeline

SUMMARY = "the client's process stops, its kernel lives on"
KILLS = True
STOPS_CLIENT = True
Options = NoOptions

#: A running client reports its progress twice within this, seconds.
_TELLING = 1.0


def fault(scene: Scene, _options: Options) -> AbstractContextManager[None]:
    """Stop the client's process (SIGSTOP), and continue it at the end."""
    return stopped(scene)


@contextlib.contextmanager
def stopped(scene: Scene) -> Iterator[None]:
    """Stop the client's process, for this fault and others that include it."""
    pid = scene.client.pid
    os.kill(pid, signal.SIGSTOP)
    # Wait for the kernel's confirmation: under load a process runs on for a while after the signal.
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    scene.note("stopped")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def signature(seen: Timeline) -> Proof:
    """The peer's window closed, bytes queued, none acknowledged, its kernel alive.

    While that is not yet so, or the server sends too little for it, the process must send no progress reports, which
    otherwise come twice a second.
    """
    closed = window_closed(seen)
    if closed is not None:
        return closed
    told = seen.first("fault", "stopped")
    if told is not None and (not seen.samples or seen.samples[-1].t - told.t < _TELLING):
        return Proof(False, "the session ended before a freeze could show")
    if not stays_stopped(seen):
        return Proof(False, "the client was to freeze, but it went on acknowledging")
    last = established(seen)[-1:]
    queued = f"{last[0].outq} bytes queued" if last and last[0].outq else "nothing queued"
    return Proof(True, f"client stopped, {queued}")


def stays_stopped(seen: Timeline) -> bool:
    """True if the kernel reported the client's process as stopped, and the process has been silent for long since."""
    told = seen.first("fault", "stopped")
    if told is None or not seen.samples or seen.samples[-1].t - told.t < _TELLING:
        return False
    return all(event.t <= told.t for event in seen.of("client"))
