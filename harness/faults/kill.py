"""The client's process is killed (SIGKILL): a crash, the out-of-memory killer. Its kernel closes the connection for it.

The close is a FIN, or a reset if bytes were unread (RFC 2525, section 2.17).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof, established
from halfopen.model.timeline import Timeline

SUMMARY = "the client's process is killed"
KILLS = True
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Kill the client's process. It cannot be undone."""
    killed(scene)
    yield


def killed(scene: Scene) -> None:
    """Kill the client's process, for this fault and others that include it; returns once it is dead."""
    os.kill(scene.client.pid, signal.SIGKILL)
    end = os.waitid(os.P_PID, scene.client.pid, os.WEXITED | os.WNOWAIT)
    assert end is not None
    if end.si_code == os.CLD_KILLED and end.si_status == signal.SIGKILL:
        scene.note("killed")


def signature(seen: Timeline) -> Proof:
    """The signal killed the process, and the server's kernel learned of it: the connection is not open both ways."""
    if seen.first("fault", "killed") is None:
        return Proof(False, "the client was to be killed, but it was not")
    closing = any(s.state != "ESTABLISHED" for s in seen.samples) or seen.first("kernel", "destroyed", "gone")
    if not closing:
        return Proof(False, "the client was killed, but its kernel never closed the connection")
    half = any(s.state == "CLOSE_WAIT" for s in established(seen))
    return Proof(True, "client killed, its kernel closed the connection" + (" (CLOSE_WAIT)" if half else ""))
