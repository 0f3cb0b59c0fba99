"""The link does what a recorded one did: a trace of rates, delays and losses is played from its start.

Each moment of the trace replaces the earlier impairment; see halfopen.model.link_trace for the format. A change loses
no packet in flight, but if a delay falls, later packets overtake earlier ones.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import msgspec

from halfopen.faults._scene import Scene
from halfopen.model import link_trace, schema
from halfopen.model.evidence import Proof
from halfopen.model.link_proof import spoils
from halfopen.model.link_spec import LinkSpec
from halfopen.model.link_trace import Trace
from halfopen.model.timeline import Timeline
from halfopen.netns.lab_errors import LabError

SUMMARY = "the link does what a recorded one did"
STRIKES = "link"

#: A change later than this was not made on time, seconds.
_LATE = 1.0


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    trace: str


class Options(msgspec.Struct, frozen=True):
    """The recording."""

    trace: Trace

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str) -> Self:
        """Read a step's keys; raises InputError."""
        return cls(link_trace.parse(schema.convert(table, _Table, where).trace, f"{where}: trace"))

    @property
    def netem_fields(self) -> list[str]:
        """Names of the fields used at any time that only sch_netem can carry out."""
        return list(dict.fromkeys(name for moment in self.trace.moments for name in moment.link.netem_fields))

    @property
    def has_rate(self) -> bool:
        """True if the link has a rate at any time."""
        return any(moment.link.has_rate for moment in self.trace.moments)


@contextlib.contextmanager
def fault(scene: Scene, options: Options) -> Iterator[None]:
    """Impair the link as the trace says; at the end as before."""
    link, client = scene.link, scene.client_host
    with contextlib.ExitStack() as undo:
        for toward in (client, link.other(client)):
            undo.callback(link.impair, toward, link.asked(toward))
        player = _Player(scene, options.trace)
        undo.callback(player.stop)
        player.start()
        yield


class _Player:
    """Changes the link when a change is due, in a thread of its own."""

    def __init__(self, scene: Scene, trace: Trace) -> None:
        self._scene = scene
        # Draw seeds in advance, so that they do not depend on other draws meanwhile.
        self._due = [(moment.at, self._seeded(moment.link)) for moment in trace.moments]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play, name="replay", daemon=True)

    def start(self) -> None:
        """Make the first change, and the others when they are due."""
        self._begun = time.monotonic()
        self._change(0)
        self._thread.start()

    def stop(self) -> None:
        """Make no more changes once this has returned."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _seeded(self, spec: LinkSpec) -> LinkSpec:
        return LinkSpec(self._scene.seeded(spec.to_client), self._scene.seeded(spec.to_server))

    def _play(self) -> None:
        for number, (at, _) in enumerate(self._due[1:], 1):
            if self._stopped.wait(max(0.0, self._begun + at - time.monotonic())):
                return
            try:
                self._change(number)
            except (OSError, LabError) as error:
                self._scene.note("replay_failed", number=number, what=str(error))
                return

    def _change(self, number: int) -> None:
        link, client = self._scene.link, self._scene.client_host
        router = link.other(client)
        at, spec = self._due[number]
        link.impair(client, spec.to_client)
        link.impair(router, spec.to_server)
        # Read back, since the request proves nothing.
        self._scene.note(
            "replayed",
            number=number,
            next_in=self._due[number + 1][0] - at if number + 1 < len(self._due) else None,
            to_client=str(link.does(client).impairment),
            to_server=str(link.does(router).impairment),
            differences=[*link.differences(client), *link.differences(router)],
        )


def signature(seen: Timeline) -> Proof:
    """The kernel, queried after each change, reported the new effect of the link, and no change was late."""
    told = list(seen.of("fault", "replayed"))
    if not told:
        return Proof(False, "a recorded link was to be replayed, but the kernel never said so")
    if failed := seen.first("fault", "replay_failed"):
        made = f"its change at {failed.t:.1f}s could not be made: {failed.data['what']}"
        return Proof(False, f"a recorded link was to be replayed, but {made}")
    unlike = [text for one in told for text in one.data["differences"] if spoils(text)]
    if unlike:
        return Proof(False, f"a recorded link was to be replayed, but it was not as asked: {unlike[0]}")
    last, end = told[-1], seen.samples[-1].t if seen.samples else told[-1].t
    if last.data["next_in"] is not None and end - last.t > last.data["next_in"] + _LATE:
        return Proof(False, f"a recorded link was to be replayed, but its change at {last.t:.1f}s was the last")
    return Proof(True, f"recorded link replayed, {len(told)} change{'' if len(told) == 1 else 's'}")
