"""The client closes as the protocol wants it (RFC 6455, section 7.1.2): the user who leaves properly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene, order
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

SUMMARY = "the client closes as the protocol wants it"
IS_FINAL = True
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Have the client start the closing handshake. It cannot be undone."""
    order(scene.client, "close", "closing")
    yield


def signature(seen: Timeline) -> Proof:
    """The client sent its close frame; the rest is up to the server."""
    if seen.first("client", "closing") is None:
        return Proof(False, "the client sent no close frame")
    ended = seen.first("client", "ended")
    answer = ended.data.get("code") if ended else None
    return Proof(True, f"close frame answered with {answer}" if answer else "close frame not answered")
