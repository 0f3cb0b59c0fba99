"""The client sends a ping (RFC 6455, section 5.5.2). A server must answer it as soon as is practical."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: For stories and lists.
SUMMARY = "the client sends a ping"
#: It cannot be undone.
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client send a ping. It cannot be undone."""
    order(scene.client, "ping", "pinged")
    yield


def signature(seen: Timeline) -> Proof:
    """The client sent its ping; the answer is up to the server."""
    if seen.first("client", "pinged") is None:
        return Proof(False, "the client sent no ping")
    return Proof(True, "ping answered" if seen.first("client", "pong_received") else "ping not answered")
