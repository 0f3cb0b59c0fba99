"""Common parts of the faults that make the client's path dark."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Iterator

from halfopen.errors import FaultError
from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof, dark
from halfopen.model.timeline import Timeline
from halfopen.netns.background import background
from halfopen.netns.host import Host
from halfopen.netns.sockets import SocketSample

#: A new connection is tried for at least this many seconds, and this many times the old one's retransmission timeout,
#: which is longer than a round trip (RFC 6298).
_TRY_FOR, _TIMEOUTS = 1.0, 2


def prepare() -> None:
    """Import what Link.cut needs. It takes a while, and a fault that is due cannot wait for that."""
    importlib.import_module("halfopen.netns.firewall")


@contextlib.contextmanager
def cut_off(scene: Scene, toward: Host | None = None) -> Iterator[None]:
    """Silently drop, in the router, packets that travel towards ``toward`` (None: both ways) until the context is left.

    It yields once an attempted connection from the client's host has failed.
    """
    own = connection(scene)
    patience = _patience(own)
    with scene.link.cut(toward):
        try:
            scene.client_host.connect(own.remote, patience).close()
        except TimeoutError:
            scene.note("cut_off", tried_for=patience)
        yield


@contextlib.contextmanager
def attempt(scene: Scene) -> Iterator[None]:
    """Attempt a connection from the client's host while the context lasts, and note that it gets no answer."""
    begun, own = time.monotonic(), None
    with contextlib.suppress(FaultError):  # the session may be over, and with it the question
        own = connection(scene)
    if own is None:
        yield
        return
    with scene.client_host.connecting(own.remote) as answered:

        def note(over: threading.Event) -> None:
            over.wait(_patience(own))
            is_enough = time.monotonic() - begun >= (own.info.rto / 1e6 if own.info else _TRY_FOR)
            if is_enough and not answered():
                # Dated to its beginning, so that it lies within the fault.
                scene.note("cut_off", at=begun, tried_for=time.monotonic() - begun)

        with background(note, "attempt"):
            yield


def _patience(own: SocketSample) -> float:
    return max(_TRY_FOR, _TIMEOUTS * (own.info.rto / 1e6 if own.info else 0.0))


def connection(scene: Scene) -> SocketSample:
    """Return the client's own end of the session; raises FaultError if it is gone."""
    with contextlib.closing(scene.client_host.socket_reader()) as reader:
        found = [one for one in reader.connections() if one.state == "ESTABLISHED"]
    if not found:
        raise FaultError("the client's end of the session was gone before the fault was due")
    return found[0]


def proof(seen: Timeline) -> Proof:
    """Check that nothing got through, by the attempt at the client's end and by samples at the other."""
    told = seen.first("fault", "cut_off")
    if told is None:
        return Proof(False, "the client's path was to be dark, but nothing was tried on it in vain")
    return dark(seen)
