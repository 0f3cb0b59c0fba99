"""Run a batch in a process of its own, here or on a cluster's worker. However it ends, it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

from halfopen.errors import InputError
from halfopen.grace.batch import BatchAnswer, BatchDone, BatchLost, BatchOrder
from halfopen.grace.trials import BatchResult
from halfopen.netns.lab_errors import GuestLostError
from halfopen.spawn.peers import Child, PeerLostError

#: Seconds for an interrupted batch to end by itself, before it is killed and the kernel ends its guest.
_PATIENCE = 10.0
#: Seconds between two checks of ``is_over``.
_INTERVAL = 0.5


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Raised for a batch that was asked to end."""


def run(order: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
    """Run a batch and return its result. Once ``is_over``, end all of its processes and raise Interrupted.

    Raises RuntimeError with the printed errors for a bug.
    """
    child = Child("halfopen.grace.batch", BatchAnswer)
    try:
        child.send(order)
        while not is_over():
            if child.says(within=_INTERVAL):
                answer: BatchAnswer = child.receive()
                return answer
        raise Interrupted
    except PeerLostError:
        raise RuntimeError(f"batch {order.batch.number} ended: {child.last_words()}") from None
    finally:
        child.close(_PATIENCE)


def batched(answer: BatchAnswer) -> BatchResult:
    """Return the result of a batch. Raises InputError if it was refused, GuestLostError if its guest was lost."""
    match answer:
        case BatchDone():
            return answer.batched
        case BatchLost():
            raise GuestLostError(answer.why)
        case _:
            raise InputError(answer.why)
