"""The client's host is gone: an empty battery, a pulled cable, a phone in a tunnel. No goodbye.

Both directions are dark. The server's TCP retransmits, ever more rarely, until tcp_retries2 is used up (tcp(7)).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: For stories and lists.
SUMMARY = "the client's host is gone"
#: Place of the fault (halfopen.results.words.struck).
STRIKES = "link"
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Silently drop packets of both directions; let them pass again at the end."""
    with _dark.cut_off(scene):
        yield


def signature(seen: Timeline) -> Proof:
    """Nothing gets through, tried from the client's host; no packet comes, retransmissions or probes go unanswered."""
    return _dark.proof(seen)
