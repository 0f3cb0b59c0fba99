"""Run one batch in a guest of its own: ``python -m halfopen.grace.batch``, JSON on stdin and on stdout.

It runs the same on any machine that has halfopen and a guest kernel. The parent may pass its own process id as an
argument. The batch then ends with the parent, however that ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.grace import plan
from halfopen.grace.outcomes import outcomes, watched
from halfopen.grace.sweep_request import told_its_grace
from halfopen.grace.trials import Batch, BatchResult, Trial
from halfopen.netns import _libc
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest import booting, cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError, LabError
from halfopen.run import guests, request
from halfopen.run.guest_part import GuestUp
from halfopen.run.guests import Guests
from halfopen.run.progress import RunView
from halfopen.run.recorder import STEADY, SamplingRate
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult
from halfopen.scenario.target_spec import TargetSpec

#: Without a detector, the kernel's report on the past (tcpi_last_ack_recv) makes up for rarer samples.
RECORDED = SamplingRate(interval=0.1, watchful=False)
_NONE = "none"


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a batch. Exactly one field is set."""

    batched: BatchResult | None = None
    refused: str | None = None
    """The reason why the batch cannot be run, in words for the user."""
    lost: str | None = None
    """The reason why its guest was lost."""


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
    greetings: list[GuestUp] = []
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


def main(arguments: Sequence[str]) -> int:
    """Run the batch from stdin and write its result to stdout; return 0, or 130 if interrupted."""
    if arguments:
        _end_with(int(arguments[0]))
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=BatchOrder)
    kernel = cache.newest()
    if kernel is None:
        return _say(
            BatchAnswer(
                refused="a sweep needs a guest kernel, and there is none; build it once with: halfopen kernel build"
            )
        )
    processor = os.getpid() if order.processor is None else order.processor
    try:
        return booting.in_private(lambda place: _say(_answered(order.batch, place, kernel, processor)))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except LabError as error:
        return _say(BatchAnswer(refused=str(error)))
    except OSError as error:
        return _say(_lost(error))


def _answered(batch: Batch, place: Path, kernel: GuestKernel, processor: int) -> BatchAnswer:
    try:
        return BatchAnswer(batched=carry_out(batch, place, kernel, processor))
    except GuestLostError as error:
        return BatchAnswer(lost=str(error))
    except (InputError, LabError) as error:
        return BatchAnswer(refused=str(error))
    except OSError as error:
        return _lost(error)


def _lost(error: OSError) -> BatchAnswer:
    """Report a shortage on this machine (disk, memory, files) as lost, not as refused: it may pass."""
    place = "" if error.filename is None else f" ({error.filename})"
    return BatchAnswer(lost=f"a batch could not be carried out: {reason_of(error)}{place}")


def _say(answer: BatchAnswer) -> int:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def _end_with(parent: int) -> None:
    _libc.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
