from __future__ import annotations

import pytest

from halfopen.errors import InputError
from halfopen.grace import batch_process, plan
from halfopen.grace.batch import BatchDone, BatchLost, BatchOrder
from halfopen.netns.lab_errors import GuestLostError
from halfopen.spawn import peers
from halfopen.spawn.peers import Refused
from tests import leftovers
from tests.harness.grace import sweeps
from tests.machine import needs_guest

BATCH = plan.batches(sweeps.small())[0]


def test_an_answer_is_a_batch_or_why_there_is_none() -> None:
    assert batch_process.batched(BatchDone(sweeps.batched(3))).number == 3
    with pytest.raises(InputError, match="no such"):
        batch_process.batched(Refused("no such server"))
    with pytest.raises(GuestLostError, match="out of memory"):
        batch_process.batched(BatchLost("out of memory"))


@needs_guest
@pytest.mark.parametrize("processes", [1, 3, 5])
def test_a_batch_that_is_over_is_gone(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """It is ended at so many processes: as it begins, as its guest boots, as a session runs."""
    monkeypatch.setattr(batch_process, "_INTERVAL", 0.01)
    before = leftovers.take_stock()
    with pytest.raises(batch_process.Interrupted):
        batch_process.run(BatchOrder(BATCH), lambda: leftovers.count_since(before) >= processes)
    assert leftovers.since(before) == {}


def test_a_bug_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "command", lambda _: ["/bin/false"])
    with pytest.raises(RuntimeError, match="exit code 1"):
        batch_process.run(BatchOrder(BATCH), lambda: False)
