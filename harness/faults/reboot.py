"""The client's host loses its state and comes back: a crash and a restart. It no longer has the connection.

It answers the server's next packet with a reset (RFC 9293, section 3.5.1); a silent server gets no answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.errors import FaultError
from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.faults.kill import killed
from halfopen.model.evidence import Proof, acknowledged, established
from halfopen.model.timeline import Timeline
from halfopen.netns.lab_errors import UnsupportedError

SUMMARY = "the client's host loses its state and comes back"
prepare = _dark.prepare
KILLS = True
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client's kernel silently forget the connection, and kill the process. It cannot be undone."""
    with _dark.cut_off(scene), contextlib.closing(scene.client_host.socket_reader()) as reader:
        own = _dark.connection(scene)
        try:
            reader.destroy(own)  # its reset is dropped on the way
        except UnsupportedError as error:
            raise FaultError(f"the client's host cannot be made to forget its connection: {error}") from None
        killed(scene)
        if reader.again(own) is None:
            scene.note("forgotten")
    yield


def signature(seen: Timeline) -> Proof:
    """The client's kernel has forgotten the connection. If the server sent anything since, a reset ended its end."""
    if seen.first("fault", "forgotten") is None:
        return Proof(False, "the client's host was to forget the connection, but it did not")
    samples = established(seen)
    if seen.first("kernel", "destroyed", "gone") or any(s.state == "CLOSE" for s in seen.samples):
        return Proof(True, "connection forgotten by the client's host, the server's ended")
    if samples and not samples[-1].outq and not acknowledged(samples):
        return Proof(True, "connection forgotten by the client's host, nothing sent to it since")
    return Proof(False, "the client's host forgot the connection, but it goes on")
