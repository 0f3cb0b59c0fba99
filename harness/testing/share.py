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
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from halfopen.errors import InputError
from halfopen.model.profile import Profile, profile_of
from halfopen.netns import capabilities, isolation
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab import kernel_has_discipline
from halfopen.netns.lab_errors import IsolationError, LabError
from halfopen.results import story
from halfopen.run import profiling, request
from halfopen.run.observer import Stop, Stopped
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, run_one
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
    lacking = _lacking(todo)
    stop = Stop()
    profile: concurrent.futures.Future[Profile | None] = concurrent.futures.Future()

    def run(job: Job) -> None:
        _write(folder, _name(job), _result(job, share, stop, lacking, profile), parent)

    def learn(seconds: float) -> None:
        job = request.profile_job(msgspec.structs.replace(share.call, profile_for=seconds), todo[0])
        try:
            profile.set_result(profile_of(run_one(job, RunView(job.label), stop).timeline))
        except (InputError, LabError, Stopped):
            profile.set_result(None)  # the scenarios meet the same obstacle, and report it
        except BaseException:
            profile.set_result(None)
            raise

    # In a guest, the imports of each pod and client would be most of a run's cost.
    with forking() if share.clock == "virtual" else contextlib.nullcontext():
        parent.interrupt_when_gone()
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=share.at_once + 1)
        try:
            needy = any(job.scenario.has_needs for job in todo)
            if needy and (seconds := profiling.duration(share.call, todo, share.clock)) is not None:
                futures = [pool.submit(learn, seconds)]
            else:
                futures = []
                profile.set_result(None)
            for future in as_completed([*futures, *(pool.submit(run, job) for job in todo)]):
                future.result()
        except BaseException:
            stop.requested = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return 0


def _name(job: Job) -> str:
    return f"{job.scenario.suite}/{job.scenario.name}"


def _lacking(jobs: Sequence[Job]) -> str | None:
    """Return what links need and this kernel lacks, if any of these scenarios needs it."""
    if not any(job.scenario.netem_fields for job in jobs) or kernel_has_discipline("netem"):
        return None
    return (
        f"needs sch_netem, and this kernel ({capabilities.kernel_release()}) has none; a guest kernel has: "
        "--halfopen-clock virtual"
    )


def _result(
    job: Job,
    share: SuiteShare,
    stop: Stop,
    lacking: str | None,
    profile: concurrent.futures.Future[Profile | None],
) -> Result:
    if lacking and (fields := job.scenario.netem_fields):
        return Result("skipped", f"its link's {' and '.join(fields)} {lacking}")
    where = ["--clock", share.clock, "--kernel", "guest" if share.clock == "virtual" else "host"]
    try:
        done = run_one(job, RunView(job.label), stop)
    except Stopped:
        return Result("error", "it was ended before it was over", [f"{_name(job)}: it was ended before it was over"])
    except (InputError, LabError) as error:
        return Result("error", str(error), [f"{_name(job)}: {error}", f"again:   {story.again(job, where)}"])
    if job.scenario.has_needs and (learned := profile.result()):
        done = profiling.applied(done, learned)
    verdict = done.verdict
    if verdict.word == "not_applicable":
        return Result(verdict.word, f"not applicable: {verdict.why}")
    if verdict.word == "inconclusive":
        return Result(verdict.word, verdict.why, ["inconclusive, which proves nothing:", *story.story(done, where)])
    return Result(verdict.word, verdict.why, [] if verdict.word == "passed" else story.story(done, where))


def _write(folder: Path, name: str, result: Result, parent: Parent) -> None:
    file = result_file(folder, name)
    # Write under another name first, so that the result appears only once complete.
    half = file.with_suffix(".half")
    half.write_bytes(msgspec.json.encode(result))
    half.rename(file)
    parent.send(name)


if __name__ == "__main__":
    sys.exit(main())
