"""Evidence that a server's interpreter stood still, and near misses."""

from __future__ import annotations

from halfopen.faults import hold_gil
from halfopen.model import timeline
from halfopen.model.timeline import Event, Sample
from tests.harness.lines import event, flowing, sample, times

HELD = event(10.0, "target", "gil_held")


def still(start: float, end: float) -> list[Sample]:
    """Return samples without writes. At first, queued bytes are still acknowledged."""
    return [
        sample(t, bytes_acked=900 if t < start + 0.5 else 1000, outq=100 if t < start + 0.5 else 0)
        for t in times(start, end)
    ]


def shown(samples: list[Sample], *events: Event) -> bool:
    return hold_gil.signature(timeline.make(samples, events)).shown


def test_a_server_that_says_so_and_writes_nothing_stands_still() -> None:
    proof = hold_gil.signature(timeline.make(still(10, 40), [HELD]))
    assert (proof.shown, proof.what) == (True, "interpreter's lock held for 30s, nothing written")


def test_what_it_writes_once_let_go_of_does_not_count() -> None:
    letting_go = event(40.0, "fault", "letting_go")
    assert shown([*still(10, 40), *flowing(40, 45)], HELD, letting_go)
    assert not shown([*still(10, 40), *flowing(40, 45)], HELD)


def test_a_server_that_writes_does_not_stand_still() -> None:
    assert not shown(flowing(10, 40), HELD)


def test_a_server_that_never_said_so_or_was_hardly_looked_at_shows_nothing() -> None:
    assert not shown(still(10, 40))
    assert not shown(still(10, 10.3), HELD)
