"""Run one batch in a guest, in a process of its own: ``python -m halfopen.grace.batch``, JSON on stdin and on stdout.

It runs the same on any machine that has halfopen and a guest kernel, and leaves nothing behind. The parent may pass its
own process id as an argument. The batch then ends with the parent, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.grace.outcomes import DrawRun, outcomes
from halfopen.grace.sweep import Batch, BatchResult, Trial, least_hold
from halfopen.grace.sweep_request import with_grace
from halfopen.netns import _libc, bug_report
from halfopen.netns.bug_report import ForeignError
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

#: Without a detector, the kernel's report on the past (tcpi_last_ack_recv) makes up for rarer samples.
RECORDED = SamplingRate(interval=0.1, watchful=False)
#: Seconds for an interrupted batch to end by itself, before it is killed and the kernel ends its guest.
_PATIENCE = 10.0
#: Seconds between two checks of ``is_over``.
_INTERVAL = 0.5


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Raised for a batch that was asked to end."""


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a batch. Exactly one field is set."""

    batched: BatchResult | None = None
    refused: str | None = None
    """The reason why the batch cannot be run, in words for the user."""
    lost: str | None = None
    """The reason why its guest was lost."""
    broken: tuple[str, str] | None = None
    """An error of ours, in one line, and its traceback."""

    def result(self) -> BatchResult:
        """Return the result of the batch.

        Raises InputError if it was refused, GuestLostError if its guest was lost, ForeignError for a bug.
        """
        if self.broken is not None:
            raise ForeignError(*self.broken)
        if self.lost is not None:
            raise GuestLostError(self.lost)
        if self.batched is None:
            raise InputError(self.refused or "a batch was refused")
        return self.batched


class BatchOrder(msgspec.Struct, frozen=True):
    """A batch to run, and the processor to run it on."""

    batch: Batch
    processor: int = 0
    """Number of the processor for its guest, modulo the number of processors."""


def run_in_process(order: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
    """Run a batch and return its result. Once ``is_over``, end all of its processes and raise Interrupted.

    Raises RuntimeError with the printed errors for a bug. The calling thread must last as long as the call.
    """
    process = subprocess.Popen(
        # -P: a folder called harness in the user's working directory must not stand in for ours.
        [sys.executable, "-P", "-m", "halfopen.grace.batch", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Signals from the terminal must not reach it. This process ends it.
        start_new_session=True,
    )
    with process:
        try:
            said, errors = _talk(process, msgspec.json.encode(order), is_over)
        except BaseException:
            _end(process)
            raise
    if process.returncode or not said:
        story = errors.decode(errors="replace").strip()
        raise RuntimeError(f"batch {order.batch.number} ended with exit code {process.returncode}: {story}")
    return msgspec.json.decode(said, type=BatchAnswer)


def _talk(process: subprocess.Popen[bytes], text: bytes, is_over: Callable[[], bool]) -> tuple[bytes, bytes]:
    unsent: bytes | None = text
    while not is_over():
        try:
            return process.communicate(unsent, timeout=_INTERVAL)
        except subprocess.TimeoutExpired:
            # The next call continues to send the same input.
            unsent = None
    raise Interrupted


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process as Ctrl-C would, and wait until it is gone with all that it started."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


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
    greetings: list[GuestUp] = []
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
            rhythm=RECORDED,
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
        rhythm=STEADY,
    )


def _left_out(batch: Batch, number: int, call: RunRequest) -> list[Trial]:
    """Results for a draw that cannot be run with this server or on this machine."""
    why = "; ".join(request.left_out(call))
    is_real = batch.acting is not None
    candidates = batch.replayed if batch.acting is None else (batch.acting,)
    return [Trial(number, candidate, is_real, "unproved", why) for candidate in candidates]


def main(arguments: Sequence[str]) -> int:
    """Run the batch from stdin and write its result to stdout; return 0, or 130 if interrupted."""
    if arguments:
        _libc.die_with_parent(signal.SIGKILL)
        if os.getppid() != int(arguments[0]):
            return ExitCode.INTERRUPTED
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=BatchOrder)
    kernel = cache.newest()
    if kernel is None:
        reason = "a sweep needs a guest kernel, and there is none; build it once with: halfopen kernel build"
        return _say(BatchAnswer(refused=reason))
    try:
        return booting.in_private(lambda place: _say(_answer(order, place, kernel)))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (LabError, OSError) as error:
        return _say(_failure(error))


def _answer(order: BatchOrder, place: Path, kernel: GuestKernel) -> BatchAnswer:
    try:
        return BatchAnswer(batched=carry_out(order.batch, place, kernel, order.processor))
    except (InputError, LabError, OSError) as error:
        return _failure(error)
    except Exception as error:  # noqa: BLE001 (raised on the other side)
        return BatchAnswer(broken=(bug_report.summary(error), bug_report.trace(error)))


def _failure(error: InputError | LabError | OSError) -> BatchAnswer:
    if isinstance(error, GuestLostError):
        return BatchAnswer(lost=str(error))
    if not isinstance(error, OSError):
        return BatchAnswer(refused=str(error))
    # A shortage on this machine (disk, memory, files) may pass.
    place = "" if error.filename is None else f" ({error.filename})"
    return BatchAnswer(lost=f"a batch could not be carried out: {reason_of(error)}{place}")


def _say(answer: BatchAnswer) -> int:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
