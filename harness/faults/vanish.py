"""The client's host is gone: a battery that is empty, a cable that is pulled, a phone in a tunnel. No goodbye.

Both ways dark; the server's TCP retransmits, ever more rarely, until tcp_retries2 is used up (tcp(7)).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults import _dark
from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

#: Where it strikes (halfopen.results.story.struck).
STRIKES = "link"
Options = NoOptions


@contextlib.contextmanager
def fault(scene: Scene, _options: Options) -> Iterator[None]:
    """Drop silently what travels either way, let it pass again at the end."""
    with _dark.cut_off(scene):
        yield


def signature(seen: Timeline) -> Proof:
    """Nothing gets through, tried from the client's host; no packet comes, retransmissions or probes go unanswered."""
    return _dark.proof(seen)
