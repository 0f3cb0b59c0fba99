"""Run one batch in a process and a guest of its own, here or on a cluster's worker: ``python -m halfopen.grace.batch``.

It runs the same on any machine that has halfopen and a guest kernel. However it or its parent ends, it leaves nothing
behind.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.grace import plan
from halfopen.grace.outcomes import outcomes, watched
from halfopen.grace.sweep_request import told_its_grace
from halfopen.grace.trials import Batch, BatchResult, Trial
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest import booting, cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError, LabError
from halfopen.run import guests, request
from halfopen.run.guests import Guests
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.scenario.target_spec import TargetSpec
from halfopen.spawn.peers import Child, Parent, PeerLostError, PeerUp, Refused

#: Without a detector, the kernel's report on the past (tcpi_last_ack_recv) makes up for rarer samples.
RECORDED = SamplingRate(interval=0.1, watchful=False)
_NONE = "none"
#: Seconds for an interrupted batch to end by itself, before it is killed and the kernel ends its guest.
_PATIENCE = 10.0
#: Seconds between two checks of ``is_over``.
_INTERVAL = 0.5


class BatchDone(msgspec.Struct, frozen=True, tag="done"):
    """The batch was run."""

    batched: BatchResult


class BatchLost(msgspec.Struct, frozen=True, tag="lost"):
    """The batch's guest was lost, or this machine is short of something, which may pass."""

    why: str


BatchAnswer = BatchDone | BatchLost | Refused


class BatchOrder(msgspec.Struct, frozen=True):
    """A batch to run, and the processor to run it on."""

    batch: Batch
    processor: int | None = None
    """Number of the processor for its guest, modulo the number of processors. None means any."""


def carry_out(batch: Batch, place: Path, kernel: GuestKernel, processor: int) -> BatchResult:
    """Run a batch's draws in one guest with its files in ``place`` (halfopen.netns.guest.booting.in_private).

    Raises InputError if the batch cannot be run as asked, and GuestLostError.
    """
    begun = time.monotonic()
    folder = place / "draws"
    folder.mkdir()
    call = _call(batch, [_written(folder, draw.name, draw.scenario) for draw in batch.draws])
    todo = request.jobs(call)
    draws = {draw.name: draw for draw in batch.draws}
    greetings: list[PeerUp] = []
    tried: dict[int, list[Trial]] = {}

    def on_done(done: RunResult) -> None:
        draw = draws[done.job.scenario.name]
        tried[draw.number] = outcomes(batch, watched(draw, done.verdict, done.timeline))

    # One draw after the other in one guest, so that a draw's effects on the guest's kernel are the same each time.
    where = Guests(kernel, virtual=True, count=1, at_once=1, writable=[folder], first_processor=processor)
    guests.run_all(call, todo, [RunView(job.label) for job in todo], where, place, greetings.append, on_done)
    return BatchResult(
        number=batch.number,
        tried=[one for draw in batch.draws for one in tried.get(draw.number) or _left_out(batch, draw.number, call)],
        wall=time.monotonic() - begun,
        kernel=greetings[0].kernel,
        congestion_control=greetings[0].congestion_control or "",
    )


def _written(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


def _call(batch: Batch, names: list[str]) -> RunRequest:
    """Return the corresponding call of ``halfopen run``."""
    whose = [batch.candidates[n] for n in (batch.replayed if batch.acting is None else [batch.acting])]
    detector = _NONE if batch.acting is None else whose[0].detector
    return RunRequest(
        seed=batch.seed,
        # The longest of the replayed values. Durations in a scenario that refer to them are then long enough for all.
        grace=max(one.grace for one in whose),
        poll=max(one.poll for one in whose),
        names=names,
        target=_target(batch),
        detectors=[detector] if detector is not None else [],
        least_hold=0.0 if batch.acting is None else plan.least_hold(batch.candidates, batch.acting),
        sampling=RECORDED if batch.acting is None else STEADY,
    )


def _target(batch: Batch) -> TargetSpec:
    """The server under test, with the candidate's grace if it accepts one."""
    if batch.acting is None:
        return batch.target
    return told_its_grace(batch.target, batch.grace_argument, batch.candidates[batch.acting])


def _left_out(batch: Batch, number: int, call: RunRequest) -> list[Trial]:
    """Results for a draw that cannot be run with this server or on this machine."""
    why = "; ".join(request.left_out(call))
    candidates = batch.replayed if batch.acting is None else (batch.acting,)
    return [
        Trial(
            draw=number,
            candidate=candidate,
            really=batch.acting is not None,
            came="unproved",
            why=why,
            fault_at=None,
            onset=None,
            reaped_at=None,
            longest_stall=0.0,
            duration=0.0,
        )
        for candidate in candidates
    ]


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Raised for a batch that was asked to end."""


def run_in_process(order: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
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


def main() -> int:
    """Run the batch that the parent sends, and send its result; return 0, or 130 if interrupted."""
    parent = Parent(BatchOrder)
    order: BatchOrder | None = parent.receive()
    if order is None:
        return ExitCode.INTERRUPTED
    kernel = cache.newest()
    if kernel is None:
        parent.send(
            Refused("a sweep needs a guest kernel, and there is none; build it once with: halfopen kernel build")
        )
        return 0
    processor = os.getpid() if order.processor is None else order.processor

    def work(place: Path) -> int:
        parent.interrupt_when_gone()
        try:
            parent.send(BatchDone(carry_out(order.batch, place, kernel, processor)))
        except (InputError, LabError, OSError) as error:
            parent.send(_failure(error))
        return 0

    try:
        return booting.in_private(work)
    except (LabError, OSError) as error:
        parent.send(_failure(error))
        return 0


def _failure(error: Exception) -> BatchLost | Refused:
    if isinstance(error, OSError):
        place = "" if error.filename is None else f" ({error.filename})"
        return BatchLost(f"a batch could not be carried out: {reason_of(error)}{place}")
    return BatchLost(str(error)) if isinstance(error, GuestLostError) else Refused(str(error))


if __name__ == "__main__":
    sys.exit(main())
