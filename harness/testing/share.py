"""The process that runs scenarios while pytest waits: ``python -P -m halfopen.testing.share``.

It is sent a SuiteShare, writes each result to a file, which other processes read too, and then sends the scenario's
name. It ends with the connection. If no Dismissed came before that, pytest was killed, and the process deletes the
folder.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from halfopen.errors import InputError
from halfopen.netns import isolation
from halfopen.netns.guest import cache
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab import lacking_disciplines
from halfopen.netns.lab_errors import IsolationError, LabError
from halfopen.results import story
from halfopen.run import profiling, request
from halfopen.run.hindrances import lack
from halfopen.run.observer import Stop, Stopped
from halfopen.run.profiling import Profiling, is_profile
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult, run_one
from halfopen.run.start_queue import StartQueue
from halfopen.spawn.forked import forking
from halfopen.spawn.peers import Parent


class SuiteShare(msgspec.Struct, frozen=True, tag="share"):
    """The selected scenarios of a call, by suite and name."""

    call: RunRequest
    folder: str
    """The results' folder."""
    names: list[str]
    clock: str
    at_once: int


class Dismissed(msgspec.Struct, frozen=True, tag="dismissed"):
    """No more results are wanted, and the folder is the sender's."""


class Result(msgspec.Struct, frozen=True):
    """Result of one scenario."""

    word: Literal["passed", "failed", "inconclusive", "not_applicable", "skipped", "error"]
    why: str
    story: list[str] = []
    """Readable lines, if it did not pass."""


def result_file(folder: Path, name: str) -> Path:
    """Return the path of a scenario's result. The file appears only once it is complete."""
    return folder / f"{name.replace('/', '-')}.result"


def main() -> int:
    """Run a share; returns 0 once every scenario has a result."""
    parent = Parent(SuiteShare | Dismissed)
    share = parent.receive()
    if not isinstance(share, SuiteShare):
        return 1
    folder = Path(share.folder)
    try:
        code = isolation.run(lambda: _run_all(share, folder, parent))
        why = f"the process that ran it ended with exit code {code}"
    except IsolationError as error:
        code, why = 1, str(error)
    for name in share.names:
        if not result_file(folder, name).exists():
            _write(folder, name, Result("error", why, [f"{name}: {why}"]), parent)
    # The parent's id would not do: the kernel closes a killed process's files a moment before the process is gone.
    if parent.receive() is None:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _run_all(share: SuiteShare, folder: Path, parent: Parent) -> int:
    todo = [job for job in request.jobs(share.call) if _name(job) in share.names]
    if any(job.scenario.has_needs for job in todo):
        seconds = profiling.duration(share.call, todo, share.clock)
        observed = msgspec.structs.replace(share.call, profile_for=seconds)
        todo[:0] = [] if seconds is None else [request.profile_job(observed, todo[0])]
    call = _with_lacks(share.call, todo)
    stop, queue = Stop(), StartQueue()
    one_by_one = threading.Lock()

    def write(done: RunResult) -> None:
        _write(folder, _name(done.job), _judged(done, share), parent)

    judging = Profiling(todo, write, lambda *_: None)

    def run(job: Job) -> None:
        done = _run(job, share, stop, queue, call)
        with one_by_one:
            if isinstance(done, RunResult):
                judging.add(done)
            elif not is_profile(job):  # the scenarios meet the same obstacle, and report it
                _write(folder, _name(job), done, parent)

    # In a guest, the imports of each pod and client would be most of a run's cost.
    with forking() if share.clock == "virtual" else contextlib.nullcontext():
        parent.interrupt_when_gone()
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=share.at_once)
        try:
            for future in as_completed([pool.submit(run, job) for job in todo]):
                future.result()
            judging.flush()
        except BaseException:
            stop.requested = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return 0


def _name(job: Job) -> str:
    return f"{job.scenario.suite}/{job.scenario.name}"


def _with_lacks(call: RunRequest, jobs: Sequence[Job]) -> RunRequest:
    """Return the call with what this kernel lacks for these scenarios."""
    lacking = lacking_disciplines(dict.fromkeys(kind for job in jobs for kind in job.scenario.disciplines))
    remedy = f"{'' if cache.newest() else 'halfopen kernel build, then '}--halfopen-clock virtual"
    return msgspec.structs.replace(call, lacking=dict.fromkeys(lacking, remedy))


def _run(job: Job, share: SuiteShare, stop: Stop, queue: StartQueue, call: RunRequest) -> RunResult | Result:
    """Run a scenario. Return the reason instead if it could not be run."""
    if (hindrance := lack(call, job.scenario)) is not None:
        return Result("skipped", f"scenario {job.scenario.name!r} {hindrance}")
    try:
        return run_one(job, RunView(job.label), stop, queue=queue)
    except Stopped:
        return Result("error", "it was ended before it was over", [f"{_name(job)}: it was ended before it was over"])
    except (InputError, LabError) as error:
        again = story.again(job, _where(share))
        return Result("error", str(error), [f"{_name(job)}: {error}", f"again:   {again}"])


def _where(share: SuiteShare) -> list[str]:
    return ["--clock", share.clock, "--kernel", "guest" if share.clock == "virtual" else "host"]


def _judged(done: RunResult, share: SuiteShare) -> Result:
    verdict = done.verdict
    if verdict.word == "passed":
        return Result(verdict.word, verdict.why)
    if verdict.word == "not_applicable":
        return Result(verdict.word, f"not applicable: {verdict.why}")
    lines = story.story(done, _where(share))
    if verdict.word == "inconclusive":
        lines = ["inconclusive, which proves nothing:", *lines]
    return Result(verdict.word, verdict.why, lines)


def _write(folder: Path, name: str, result: Result, parent: Parent) -> None:
    file = result_file(folder, name)
    # Write under another name first, so that the result appears only once complete.
    half = file.with_suffix(".half")
    half.write_bytes(msgspec.json.encode(result))
    half.rename(file)
    parent.send(name)


if __name__ == "__main__":
    sys.exit(main())
