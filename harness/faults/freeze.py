"""The client's process stops, its kernel lives on: a slept laptop, a tab in the freezer, a debugger's breakpoint.

The kernel acknowledges until its receive buffer is full, then answers every zero-window probe, so the
connection stays ESTABLISHED for ever (RFC 9293, section 3.8.6.1).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof, established, window_closed
from halfopen.model.timeline import Timeline

Options = NoOptions

#: A client that runs says twice in so many seconds how far it is.
_TELLING = 1.0


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Stop the client's process (SIGSTOP), let it go on at the end."""
    with stopped(scene):
        yield


@contextlib.contextmanager
def stopped(scene: Scene) -> Iterator[None]:
    """Have the client's process stopped, for this fault and others that it is part of."""
    pid = scene.client.pid
    os.kill(pid, signal.SIGSTOP)
    # Not done until the kernel says so: under load a process runs on for a while after the signal.
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    scene.note("stopped")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def signature(seen: Timeline) -> Proof:
    """The peer's window closed, bytes queued, none acknowledged, its kernel alive; or, while that is not yet so, or
    the server says too little for it: the process, which else tells of itself twice a second, says nothing."""
    closed = window_closed(seen)
    if closed is not None:
        return closed
    if not stays_stopped(seen):
        return Proof(False, "the client was to freeze, but it went on acknowledging")
    last = established(seen)[-1:]
    queued = f"{last[0].outq} bytes queued" if last and last[0].outq else "nothing queued"
    return Proof(True, f"client stopped, {queued}")


def stays_stopped(seen: Timeline) -> bool:
    """Whether the kernel said that the client's process is stopped, and the process has long said nothing since."""
    told = seen.first("fault", "stopped")
    if told is None or not seen.samples or seen.samples[-1].t - told.t < _TELLING:
        return False
    return all(event.t <= told.t for event in seen.of("client"))
