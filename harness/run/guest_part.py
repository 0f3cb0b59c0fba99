"""Run one guest's part of a call, inside the guest: ``python -m halfopen.run.guest_part FOLDER``.

FOLDER holds the part as JSON and receives the timelines. Progress and results are written to stdout as JSON lines. The
other side reads the timelines and judges them.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from halfopen.errors import InputError
from halfopen.model import timeline
from halfopen.netns import bug_report, capabilities
from halfopen.netns.lab_errors import LabError, TeardownError
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult, run_all
from halfopen.spawn.forked import forking

PART = "part.json"
_UNTOLD = ("waiting", "done")


class GuestPart(msgspec.Struct, frozen=True):
    """The jobs of a call that one guest runs, by number."""

    call: RunRequest
    numbers: list[int]
    at_once: int
    tell_every: float
    """Seconds between progress messages, on the guest's clock."""


class GuestUp(msgspec.Struct, frozen=True, tag="hello"):
    """The guest is up."""

    kernel: str
    congestion_control: str | None


class RunStarted(msgspec.Struct, frozen=True, tag="begun"):
    """A run has started."""

    number: int


class RunProgress(msgspec.Struct, frozen=True, tag="seen"):
    """Progress of a run."""

    number: int
    phase: str
    queued: int
    left: float | None
    """Seconds until its verdict at the latest."""


class RunFinished(msgspec.Struct, frozen=True, tag="ended"):
    """A run has a verdict and its timeline is written. Its processes may still be there."""

    number: int


class RunsRefused(msgspec.Struct, frozen=True, tag="refused"):
    """The part cannot be run. ``why`` is written for the user."""

    why: str


class RunsStuck(msgspec.Struct, frozen=True, tag="stuck"):
    """The part cannot go on: processes of a run do not end. ``why`` names them."""

    why: str


class RunsBroken(msgspec.Struct, frozen=True, tag="broken"):
    """An error of ours ended the part, or one of its threads."""

    summary: str
    trace: str


Message = GuestUp | RunStarted | RunProgress | RunFinished | RunsRefused | RunsStuck | RunsBroken


def timeline_file(folder: Path, number: int) -> Path:
    """Path of the timeline of the job with this number."""
    return folder / f"{number}.jsonl"


def main(folder: Path) -> int:
    """Run the part in ``folder``. Return 0 if all of it was done."""
    part = msgspec.json.decode((folder / PART).read_bytes(), type=GuestPart)
    teller = _Teller()
    teller.tell(GuestUp(capabilities.kernel_release(), capabilities.congestion_control()))
    with bug_report.of_threads(teller.tell_bug):
        return _run(part, folder, teller)


def _run(part: GuestPart, folder: Path, teller: _Teller) -> int:
    try:
        everything = request.jobs(part.call)
        todo = [everything[number] for number in part.numbers]
        numbers = {job.label: number for job, number in zip(todo, part.numbers, strict=True)}
        views = [
            RunView(job.label, on_begin=partial(teller.tell, RunStarted(number)))
            for job, number in zip(todo, part.numbers, strict=True)
        ]

        def on_done(done: RunResult) -> None:
            number = numbers[done.job.label]
            timeline.write(done.timeline, timeline_file(folder, number))
            teller.tell(RunFinished(number))

        # In a guest, importing each pod and client would be most of a run's cost.
        with forking(), teller.telling(views, part):
            run_all(todo, views, part.at_once, on_done)
    except TeardownError as error:
        teller.tell(RunsStuck(str(error)))
    except (InputError, LabError) as error:
        teller.tell(RunsRefused(str(error)))
    except Exception as error:  # noqa: BLE001 (raised on the other side)
        teller.tell_bug(error)
    else:
        return 0
    return 1


class _Teller:
    """Writes messages to the other side on stdout."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def tell(self, message: Message) -> None:
        line = msgspec.json.encode(message) + b"\n"
        with self._lock:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()

    def tell_bug(self, error: BaseException) -> None:
        self.tell(RunsBroken(bug_report.summary(error), bug_report.trace(error)))

    @contextlib.contextmanager
    def telling(self, views: Sequence[RunView], part: GuestPart) -> Iterator[None]:
        """Report the progress of the runs until the context is left."""
        over = threading.Event()

        def tell() -> None:
            last: dict[int, RunProgress] = {}
            while not over.wait(part.tell_every):
                for number, view in zip(part.numbers, views, strict=True):
                    seen = RunProgress(number, view.phase, view.queued, view.seconds_left)
                    if view.phase not in _UNTOLD and last.get(number) != seen:
                        last[number] = seen
                        self.tell(seen)

        thread = threading.Thread(target=tell, name="teller", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
