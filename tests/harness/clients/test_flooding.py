"""Evidence of a client that floods its server, on hand-written timelines."""

from __future__ import annotations

import msgspec
import pytest

from halfopen.clients import flooding
from halfopen.model import timeline
from halfopen.model.timeline import Event, Sample
from tests.harness.lines import flowing, progress


def spoken(rate: float) -> list[Event]:
    """Return progress reports of a client that sends so many bytes a second of its own."""
    reports = progress(0, 20, acknowledging=True)
    return [msgspec.structs.replace(e, data={**e.data, "spoken": int(rate * e.t)}) for e in reports]


def taken(rate: float) -> list[Sample]:
    """Return samples of a server whose kernel receives so many bytes a second."""
    return [msgspec.structs.replace(s, bytes_received=int(rate * s.t)) for s in flowing(0, 20)]


@pytest.mark.parametrize(
    ("said", "received", "shown"),
    [
        (30_000, 40_000, True),
        (30_000, 16_000, True),
        (30_000, 10_000, False),
        (0, 10_000, False),
    ],
)
def test_a_flood_is_one_if_the_server_takes_it(said: float, received: float, shown: bool) -> None:
    seen = timeline.make(taken(received), spoken(said))
    assert flooding.floods(seen).shown is shown


def test_a_client_of_which_nothing_is_known_has_not_flooded() -> None:
    assert not flooding.floods(timeline.make([], [])).shown


def test_bursts_that_were_missed_are_not_made_up_for() -> None:
    behaviour = flooding.Behaviour(flooding.Options())
    begun = behaviour.speaks_at()
    assert behaviour.messages(begun) == 25
    assert behaviour.speaks_at() == pytest.approx(begun + 0.05)
    behaviour.messages(begun + 10)
    assert behaviour.speaks_at() == begun + 10
