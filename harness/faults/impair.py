"""The client's link changes: a train enters a tunnel, a phone leaves its Wi-Fi, a neighbour starts a download.

The new impairment replaces the earlier one, in both directions. No packet in flight is lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from halfopen.faults._scene import Scene
from halfopen.model.evidence import Proof
from halfopen.model.link_proof import spoils
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Timeline
from halfopen.netns.host import Host

SUMMARY = "the client's link changes"
STRIKES = "link"
Options = LinkSpec


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Impair the link as requested, and at the end as before."""
    link, client = scene.link, scene.client_host
    router = link.other(client)
    with contextlib.ExitStack() as undo:
        for toward, impairment in ((client, options.to_client), (router, options.to_server)):
            undo.callback(link.impair, toward, link.asked(toward))
            link.impair(toward, scene.seeded(impairment))
        # Read back, since the request proves nothing.
        scene.note("impaired", to_client=_in_force(scene, client), to_server=_in_force(scene, router))
        yield


def _in_force(scene: Scene, toward: Host) -> dict[str, object]:
    does = scene.link.does(toward).impairment
    return {"does": str(does), "seed": does.seed, "differences": scene.link.differences(toward)}


def signature(seen: Timeline) -> Proof:
    """The kernel, when queried, reported the new effect of the link on packets."""
    told = seen.first("fault", "impaired")
    if told is None:
        return Proof(False, "the link was to change, but the kernel never said so")
    to_client, to_server = (told.data[way]["does"] for way in ("to_client", "to_server"))
    unlike = [text for way in ("to_client", "to_server") for text in told.data[way]["differences"] if spoils(text)]
    if unlike:
        return Proof(False, f"the link was to change, but not to what it does: {'; '.join(dict.fromkeys(unlike))}")
    both = to_client if to_client == to_server else f"{to_client} to the client, {to_server} to the server"
    return Proof(True, f"link changed to {both}")
