"""Run one guest's part of a call, inside the guest: ``python -m halfopen.run.guest_part FOLDER``.

FOLDER holds the part and receives the timelines. The other side (halfopen.run.guests) reads these and judges them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from halfopen.errors import InputError
from halfopen.model import timeline
from halfopen.netns import bug_report
from halfopen.netns.background import background
from halfopen.netns.lab_errors import LabError, TeardownError
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import RunResult, run_all
from halfopen.spawn.forked import forking
from halfopen.spawn.guest_peer import task_in
from halfopen.spawn.peers import Broken, PeerUp, Refused, Sender

_UNTOLD = ("waiting", "done")


class GuestPart(msgspec.Struct, frozen=True):
    """The jobs of a call that one guest runs, by number."""

    call: RunRequest
    numbers: list[int]
    at_once: int
    tell_every: float
    """Seconds between progress messages, on the guest's clock."""


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


class StartsSlow(msgspec.Struct, frozen=True, tag="slow"):
    """Servers are slow to start in this guest. ``why`` is written for the user."""

    why: str


class RunsStuck(msgspec.Struct, frozen=True, tag="stuck"):
    """The part cannot go on: processes of a run do not end. ``why`` names them."""

    why: str


Message = PeerUp | RunStarted | RunProgress | RunFinished | Refused | StartsSlow | RunsStuck


def timeline_file(folder: Path, number: int) -> Path:
    """Path of the timeline of the job with this number."""
    return folder / f"{number}.jsonl"


def main(folder: Path) -> int:
    """Run the part in ``folder``. Return 0 if all of it was done."""
    part: GuestPart = task_in(folder, GuestPart)
    sender = Sender(sys.stdout.buffer)
    sender.send(PeerUp())
    with bug_report.of_threads(lambda error: sender.send(Broken.by(error))), sender.sending_bugs():
        return _run(part, folder, sender)


def _run(part: GuestPart, folder: Path, sender: Sender) -> int:
    try:
        everything = request.jobs(part.call)
        todo = {number: everything[number] for number in part.numbers}
        numbers = {job.label: number for number, job in todo.items()}
        views = [RunView(job.label, on_begin=partial(sender.send, RunStarted(number))) for number, job in todo.items()]

        def on_done(done: RunResult) -> None:
            number = numbers[done.job.label]
            timeline.write(done.timeline, timeline_file(folder, number))
            sender.send(RunFinished(number))

        # In a guest, importing each pod and client would be most of a run's cost.
        with forking(), background(partial(_report, sender, views, part), "teller"):
            run_all(list(todo.values()), views, part.at_once, on_done, lambda why: sender.send(StartsSlow(why)))
    except TeardownError as error:
        sender.send(RunsStuck(str(error)))
        return 1
    except (InputError, LabError) as error:
        sender.send(Refused(str(error)))
        return 1
    return 0


def _report(sender: Sender, views: Sequence[RunView], part: GuestPart, over: threading.Event) -> None:
    """Report the progress of the runs until they are over."""
    last: dict[int, RunProgress] = {}
    while not over.wait(part.tell_every):
        for number, view in zip(part.numbers, views, strict=True):
            seen = RunProgress(number, view.phase, view.queued, view.seconds_left)
            if view.phase not in _UNTOLD and last.get(number) != seen:
                last[number] = seen
                sender.send(seen)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
