"""The client's process stops, its kernel lives on: a slept laptop, a tab in the freezer, a debugger's breakpoint.

The kernel acknowledges until its receive buffer is full, then answers every zero-window probe, so the
connection stays ESTABLISHED for ever (RFC 9293, section 3.8.6.1).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from harness.evidence import Proof, established, last_stall
from harness.faults._scene import NoOptions, Scene
from harness.timeline import Timeline
from netns.units import show_bytes, show_duration

Options = NoOptions

#: The shortest stall that is taken for one, seconds: many times the lab's round trip.
_SHORTEST = 0.5


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Stop the client's process (SIGSTOP), let it go on at the end."""
    pid = scene.client.pid
    os.kill(pid, signal.SIGSTOP)
    # Not done until the kernel says so: under load a process runs on for a while after the signal.
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def signature(seen: Timeline) -> Proof:
    """The peer's window closed, bytes queued, none acknowledged, and its kernel alive."""
    stall = last_stall(established(seen))
    if stall is None or stall.seconds < _SHORTEST:
        return Proof(False, "the client was to freeze, but it went on acknowledging")
    last = stall.samples[-1]
    if last.unacked:
        return Proof(False, f"the client's kernel was to live on, but {last.unacked} packets got no answer")
    if last.snd_wnd:
        return Proof(False, f"the client's window was to close, but it is {last.snd_wnd} bytes")
    return Proof(
        True,
        f"window closed, {show_bytes(last.outq)} queued, nothing acknowledged for {show_duration(stall.seconds)}",
    )
