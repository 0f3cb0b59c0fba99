"""The process that runs scenarios while pytest waits: ``python -P -m halfopen.testing.share FILE``.

FILE lists the scenarios. Each result is written beside it. The process ends when its standard input closes. If FILE
still exists then, its creator was killed, and the process deletes the folder.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from halfopen.errors import InputError
from halfopen.netns import capabilities, isolation
from halfopen.netns.interrupts import as_completed
from halfopen.netns.lab import kernel_has_discipline
from halfopen.netns.lab_errors import IsolationError, LabError
from halfopen.results import story
from halfopen.run import request
from halfopen.run.observer import Stop, Stopped
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, run_one
from halfopen.spawn.forked import forking


class SuiteShare(msgspec.Struct, frozen=True):
    """Some of the scenarios of a call, by suite and name."""

    call: RunRequest
    names: list[str]
    clock: str
    at_once: int


class Result(msgspec.Struct, frozen=True):
    """Result of one scenario."""

    word: Literal["passed", "failed", "inconclusive", "not_applicable", "skipped", "error"]
    why: str
    story: list[str] = []
    """Readable lines, if it did not pass."""


def result_file(folder: Path, name: str) -> Path:
    """Return the path of a scenario's result. The file appears only once it is complete."""
    return folder / f"{name.replace('/', '-')}.result"


def main(file: Path) -> int:
    """Run the share that ``file`` describes; returns 0 once every scenario has a result."""
    share = msgspec.json.decode(file.read_bytes(), type=SuiteShare)
    try:
        code = isolation.run(lambda: _run_all(share, file.parent))
        why = f"the process that ran it ended with exit code {code}"
    except IsolationError as error:
        code, why = 1, str(error)
    for name in share.names:
        if not result_file(file.parent, name).exists():
            _write(file.parent, name, Result("error", why, [f"{name}: {why}"]))
    # The parent's id would not do: the kernel closes a killed process's files a moment before the process is gone.
    sys.stdin.buffer.read()
    if file.exists():
        shutil.rmtree(file.parent, ignore_errors=True)
    return code


def _run_all(share: SuiteShare, folder: Path) -> int:
    todo = [job for job in request.jobs(share.call) if _name(job) in share.names]
    # In a guest, the imports of each pod and client would be most of a run's cost.
    with forking() if share.clock == "virtual" else contextlib.nullcontext():
        _end_with_stdin()
        _run_them(todo, share, folder)
    return 0


def _run_them(todo: Sequence[Job], share: SuiteShare, folder: Path) -> None:
    stop = Stop()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=share.at_once)
    lacking = _lacking(todo)
    try:
        for future in as_completed([pool.submit(_run, job, share, folder, stop, lacking) for job in todo]):
            future.result()
    except BaseException:
        stop.requested = True
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _end_with_stdin() -> None:
    main_thread = threading.get_ident()

    def wait() -> None:
        sys.stdin.buffer.read()
        signal.pthread_kill(main_thread, signal.SIGINT)

    threading.Thread(target=wait, name="stdin", daemon=True).start()


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


def _run(job: Job, share: SuiteShare, folder: Path, stop: Stop, lacking: str | None) -> None:
    _write(folder, _name(job), _result(job, share, stop, lacking))


def _result(job: Job, share: SuiteShare, stop: Stop, lacking: str | None) -> Result:
    if lacking and (fields := job.scenario.netem_fields):
        return Result("skipped", f"its link's {' and '.join(fields)} {lacking}")
    where = ["--clock", share.clock, "--kernel", "guest" if share.clock == "virtual" else "host"]
    try:
        done = run_one(job, RunView(job.label), stop)
    except Stopped:
        return Result("error", "it was ended before it was over", [f"{_name(job)}: it was ended before it was over"])
    except (InputError, LabError) as error:
        return Result("error", str(error), [f"{_name(job)}: {error}", f"again:   {story.again(job, where)}"])
    verdict = done.verdict
    if verdict.word == "inconclusive":
        return Result(verdict.word, verdict.why, ["inconclusive, which proves nothing:", *story.story(done, where)])
    return Result(verdict.word, verdict.why, [] if verdict.word == "passed" else story.story(done, where))


def _write(folder: Path, name: str, result: Result) -> None:
    file = result_file(folder, name)
    # Write under another name first, so that the result appears only once complete.
    half = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    half.write_bytes(msgspec.json.encode(result))
    half.rename(file)
    with contextlib.suppress(BrokenPipeError):
        print(name, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
