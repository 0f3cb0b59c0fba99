from __future__ import annotations

import pytest

from halfopen.errors import InputError
from halfopen.grace import batch
from halfopen.grace.batch import BatchAnswer, BatchOrder
from halfopen.netns.lab_errors import GuestLostError
from tests import leftovers
from tests.harness.grace import sweeps
from tests.machine import needs_guest

BATCH = sweeps.small().batches()[0]


def test_an_answer_is_a_batch_or_why_there_is_none() -> None:
    assert BatchAnswer(batched=sweeps.batched(3)).result().number == 3
    with pytest.raises(InputError, match="no such"):
        BatchAnswer(refused="no such server").result()
    with pytest.raises(GuestLostError, match="out of memory"):
        BatchAnswer(lost="out of memory").result()


@needs_guest
@pytest.mark.parametrize("processes", [1, 3, 5])
def test_a_batch_that_is_over_is_gone(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """It is ended at so many processes: as it begins, as its guest boots, as a session runs."""
    monkeypatch.setattr(batch, "_INTERVAL", 0.01)
    before = leftovers.take_stock()
    with pytest.raises(batch.Interrupted):
        batch.run_in_process(BatchOrder(BATCH), lambda: leftovers.count_since(before) >= processes)
    assert leftovers.since(before) == {}


def test_a_bug_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch.sys, "executable", "/bin/false")  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="exit code 1"):
        batch.run_in_process(BatchOrder(BATCH), lambda: False)
