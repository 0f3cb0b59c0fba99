"""Run one batch in a process and a guest of its own, here or on a cluster's worker: ``python -m halfopen.grace.batch``.

It runs the same on any machine that has halfopen and a guest kernel. However it or its parent ends, it leaves nothing
behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.grace.outcomes import DrawRun, outcomes
from halfopen.grace.sweep import Batch, BatchResult, Trial, least_hold
from halfopen.grace.sweep_request import with_grace
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest import booting, cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError, LabError
from halfopen.run import guests, hindrances, request
from halfopen.run.guests import Guests
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.spawn.peers import Child, Parent, PeerLostError, PeerUp, Refused

#: Without a detector, the kernel's report on the past (tcpi_last_ack_recv) makes up for rarer samples.
RECORDED = SamplingRate(interval=0.1, watchful=False)
#: Seconds for an interrupted batch to end by itself, before it is killed and the kernel ends its guest.
_PATIENCE = 10.0
#: Seconds between two checks of ``is_over``.
_INTERVAL = 0.5


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Raised for a batch that was asked to end."""


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
    processor: int = 0
    """Number of the processor for its guest, modulo the number of processors."""


def run_in_process(order: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
    """Run a batch and return its result. Once ``is_over``, end all of its processes and raise Interrupted.

    Raises ForeignError for a bug in it, or RuntimeError with the printed errors for one that ends it at once.
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


def carry_out(batch: Batch, place: Path, kernel: GuestKernel, processor: int) -> BatchResult:
    """Run a batch's draws in one guest with its files in ``place`` (halfopen.netns.guest.booting.in_private).

    Raises InputError if the batch cannot be run as asked, and GuestLostError.
    """
    folder = place / "draws"
    folder.mkdir()
    for draw in batch.draws:
        (folder / f"{draw.name}.toml").write_text(draw.scenario)
    call = _call(batch, [str(folder / f"{draw.name}.toml") for draw in batch.draws])
    todo = request.jobs(call)
    draws = {draw.name: draw for draw in batch.draws}
    greetings: list[PeerUp] = []
    trials: dict[str, list[Trial]] = {}

    def on_done(done: RunResult) -> None:
        name = done.job.scenario.name
        trials[name] = outcomes(batch, DrawRun(draws[name], done.verdict, done.timeline))

    # One draw after the other in one guest, so that a draw's effects on the guest's kernel are the same each time.
    where = Guests(kernel, virtual=True, count=1, at_once=1, writable=[folder], first_processor=processor)
    guests.run_all(call, todo, [RunView(job.label) for job in todo], where, place, greetings.append, on_done)
    return BatchResult(
        number=batch.number,
        trials=[
            trial for draw in batch.draws for trial in trials.get(draw.name) or _left_out(batch, draw.number, call)
        ],
        kernel=greetings[0].kernel,
        congestion_control=greetings[0].congestion_control or "",
    )


def _call(batch: Batch, names: list[str]) -> RunRequest:
    """Return the corresponding call of ``halfopen run``."""
    if batch.acting is None:
        recorded = [batch.candidates[number] for number in batch.replayed]
        return RunRequest(
            seed=batch.seed,
            # Durations in a scenario that refer to them are then long enough for every replay.
            grace=max(candidate.grace for candidate in recorded),
            poll=max(candidate.poll for candidate in recorded),
            names=names,
            target=batch.target,
            detectors=["none"],
            sampling=RECORDED,
        )
    candidate = batch.candidates[batch.acting]
    return RunRequest(
        seed=batch.seed,
        grace=candidate.grace,
        poll=candidate.poll,
        names=names,
        target=with_grace(batch.target, batch.grace_argument, candidate),
        detectors=[] if candidate.detector is None else [candidate.detector],
        least_hold=least_hold(batch.candidates, batch.acting),
        sampling=STEADY,
    )


def _left_out(batch: Batch, number: int, call: RunRequest) -> list[Trial]:
    """Results for a draw that cannot be run with this server or on this machine."""
    why = "; ".join(hindrances.notes(request.left_out(call)))
    is_real = batch.acting is not None
    candidates = batch.replayed if batch.acting is None else (batch.acting,)
    return [Trial(number, candidate, is_real, "unproved", why) for candidate in candidates]


def main() -> int:
    """Run the batch that the parent sends, and send its result; return 0, or 130 if interrupted."""
    parent = Parent(BatchOrder)
    order: BatchOrder | None = parent.receive()
    if order is None:
        return ExitCode.INTERRUPTED
    with parent.sending_bugs():
        return _run(order, parent)


def _run(order: BatchOrder, parent: Parent) -> int:
    kernel = cache.newest()
    if kernel is None:
        reason = "a sweep needs a guest kernel, and there is none; build it once with: halfopen kernel build"
        parent.send(Refused(reason))
        return 0

    def work(place: Path) -> int:
        parent.interrupt_when_gone()
        with parent.sending_bugs():
            try:
                parent.send(BatchDone(carry_out(order.batch, place, kernel, order.processor)))
            except (InputError, LabError, OSError) as error:
                parent.send(_failure(error))
        return 0

    try:
        return booting.in_private(work)
    except (LabError, OSError) as error:
        parent.send(_failure(error))
        return 0


def _failure(error: InputError | LabError | OSError) -> BatchLost | Refused:
    if isinstance(error, GuestLostError):
        return BatchLost(str(error))
    if not isinstance(error, OSError):
        return Refused(str(error))
    # A shortage on this machine (disk, memory, files) may pass.
    place = "" if error.filename is None else f" ({error.filename})"
    return BatchLost(f"a batch could not be carried out: {reason_of(error)}{place}")


if __name__ == "__main__":
    sys.exit(main())
