"""Evidence that a server was paused, and near misses."""

from __future__ import annotations

from halfopen.faults import pause
from halfopen.model import timeline
from halfopen.model.timeline import Event, Sample
from tests.harness.faults.test_hold_gil_signature import still
from tests.harness.lines import event, flowing

PAUSED = event(10.0, "fault", "paused", by="freezer")


def shown(samples: list[Sample], *events: Event) -> bool:
    return pause.signature(timeline.make(samples, events)).shown


def test_a_server_that_writes_nothing_from_the_word_on_is_paused() -> None:
    proof = pause.signature(timeline.make(still(10, 40), [PAUSED]))
    assert (proof.shown, proof.what) == (True, "server paused for 30s, nothing written")


def test_a_server_that_goes_on_writing_is_not_paused() -> None:
    assert not shown(flowing(10, 40), PAUSED)
    assert not shown([*still(10, 40), *flowing(40, 45)], PAUSED)


def test_silence_alone_without_the_word_or_for_an_instant_shows_nothing() -> None:
    assert not shown(still(10, 40))
    assert not shown(still(10, 10.3), PAUSED)
