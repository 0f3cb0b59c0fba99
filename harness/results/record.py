"""results.json, junit.xml and timelines/: the files for other programs (field by field in docs/results.md)."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import junitparser
import msgspec

from halfopen import __version__
from halfopen.errors import InputError, reason_of
from halfopen.model import timeline
from halfopen.model.profile import Profile
from halfopen.netns import capabilities
from halfopen.netns.exit_codes import ExitCode
from halfopen.results import fixes, story, words
from halfopen.results.baseline import Baseline, standing
from halfopen.run.hindrances import Hindrance, LeftOut
from halfopen.run.request import RunRequest, left_out
from halfopen.run.runner import Job, RunResult
from halfopen.run.shards import Shard
from halfopen.scenario.spec import SUBJECT
from halfopen.verdict import ends
from halfopen.verdict.crowd_verdict import CrowdVerdict
from halfopen.verdict.judge import Verdict, counted_from, due
from halfopen.verdict.resources import cost

RESULTS = "results.json"
JUNIT = "junit.xml"
REPORT = "report.html"
COMPARISON = "compare.json"
FIELD = "field.json"
SWEEP = "grace.json"
SWEEP_ROWS = "grace.csv"
TIMELINES = "timelines"
#: The files that describe runs, and name their timelines.
_TABLES = (RESULTS, COMPARISON, FIELD)
#: Each file with the text that no other program's file of that name has.
_MARKS = {
    **dict.fromkeys((*_TABLES, SWEEP), b'"halfopen": "'),
    JUNIT: b'<testsuites name="halfopen"',
    SWEEP_ROWS: b"detector,grace_s,poll_s,part,",
    REPORT: b"<title>halfopen",
}

#: A timeline's first line starts with one of these (halfopen.model.timeline).
_TIMELINE_STARTS = (b'{"kind":', b'{"t":')
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Conditions:
    """The common conditions of all runs of one call."""

    seed: int
    clock: str
    grace: float
    poll: float
    target: Mapping[str, str]
    detector: str | None
    started_at: str
    kernel: str
    congestion_control: str | None
    shard: Shard | None = None
    baseline: Baseline | None = None
    """The known failures."""
    profile: Profile | None = None
    """Profile of the server; None if it was not observed, or if there are several servers."""
    again: tuple[str, ...] = ()
    """The options that select the same clock and kernel again."""
    left_out: tuple[LeftOut, ...] = ()
    """The requested scenarios that are not run."""


def conditions(
    call: RunRequest, jobs: Sequence[Job], clock: str, baseline: Baseline | None = None, again: Sequence[str] = ()
) -> Conditions:
    """The conditions on this machine's kernel, now. The wall clock is only read here, for ``started_at``."""
    detectors = {job.detector for job in jobs}
    return Conditions(
        seed=call.seed,
        clock=clock,
        grace=call.grace,
        poll=call.poll,
        target=jobs[0].target.describe(),
        detector=detectors.pop() if len(detectors) == 1 else None,
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        kernel=capabilities.kernel_release(),
        congestion_control=capabilities.congestion_control(),
        shard=call.shard,
        baseline=baseline,
        again=tuple(again),
        left_out=tuple(left_out(call)),
    )


def as_table(how: Conditions, done: Sequence[RunResult], wall: float) -> dict[str, Any]:
    """The content of results.json (one object, ``runs`` in the order asked for)."""
    runs = [run_as_table(run) | in_words(run, how.again) for run in done]
    if how.baseline is not None:
        runs = [entry | {"known": how.baseline.covers(run)} for entry, run in zip(runs, done, strict=True)]
    return conditions_as_table(how, wall) | {"runs": runs}


def conditions_as_table(how: Conditions, wall: float) -> dict[str, Any]:
    """The common conditions of all runs, and their total time by this machine's clock."""
    return {
        "halfopen": __version__,
        "started_at": how.started_at,
        "seed": how.seed,
        "clock": how.clock,
        "kernel": how.kernel,
        "congestion_control": how.congestion_control,
        "grace_s": float(how.grace),
        "poll_s": float(how.poll),
        "target": dict(how.target),
        "detector": how.detector,
        "wall_s": rounded(wall),
        **({} if how.profile is None else {"profile": _profile_as_table(how.profile)}),
        **({} if how.shard is None else {"shard": str(how.shard)}),
        "left_out": msgspec.to_builtins(list(how.left_out)),
    }


def _profile_as_table(profile: Profile) -> dict[str, Any]:
    described = {"text": str(profile), "suggested_grace_s": profile.suggested_grace}
    return {**described, **msgspec.to_builtins(profile)}


def run_as_table(done: RunResult) -> dict[str, Any]:
    """One entry of ``runs``."""
    job, verdict = done.job, done.verdict
    found, closed = verdict.found, ends.close_frame(done.timeline)
    return {
        "scenario": job.scenario.name,
        "suite": job.scenario.suite,
        "repeat": job.repeat,
        "seed": job.seed,
        "detector": job.detector,
        "truth": job.scenario.truth,
        "expected": job.scenario.expect.session,
        "outcome": found.outcome if found.was and verdict.klass else None,
        "class": verdict.klass,
        "verdict": verdict.word,
        "why": verdict.why,
        "fix": fixes.page(done),
        "reason": found.reason,
        "fault_at_s": rounded(found.fault_at),
        "onset_s": rounded(found.stall.onset if found.stall else None),
        "reaped_at_s": rounded(found.ended_at if found.outcome == "reaped" else None),
        "detection_s": rounded(verdict.detection),
        "after_fault_s": rounded(verdict.after_fault),
        "close_code": closed.data.get("code") if closed else None,
        "close_reason": closed.data.get("reason") if closed else None,
        "about": story.whose(done) or None,
        **msgspec.to_builtins(story.explained(done)),
        "stuck_bytes": found.stuck_bytes if verdict.klass else 0,
        "orphan_bytes": found.orphan.bytes,
        "orphan_s": rounded(found.orphan.seconds),
        "memory_growth_bytes": found.held.memory_growth if found.held else None,
        "files_left": found.held.files_left if found.held else None,
        "threads_left": found.held.threads_left if found.held else None,
        "sessions": [_session_as_table(name, verdict) for name, verdict in _by_client(done)],
        "crowd": _crowd_as_table(done.crowd),
        "sessions_after": found.final.get("sessions"),
        "lock_held_after": found.final.get("lock_held"),
        "duration_s": rounded(found.looked_until),
        "wall_s": rounded(done.wall),
    }


def _by_client(done: RunResult) -> list[tuple[str, Verdict]]:
    """Return the verdict on each client's session in a scenario with several, the subject's first."""
    return [(SUBJECT, done.subject), *done.others.items()] if done.job.scenario.has_company else []


def _class_of_blamed(done: RunResult) -> str | None:
    return done.verdict.klass if (name := done.blamed) == SUBJECT else done.others[name].klass


def _session_as_table(name: str, verdict: Verdict) -> dict[str, Any]:
    found = verdict.found
    return {
        "client": name,
        "outcome": found.outcome if found.was else None,
        "class": verdict.klass,
        "verdict": verdict.word,
        "why": verdict.why,
        "opened_at_s": rounded(found.opened_at),
        "ended_at_s": rounded(found.ended_at),
        "longest_gap_s": rounded(found.gap.seconds if found.gap else None),
        "gap_at_s": rounded(found.gap.begun if found.gap else None),
        "served_after_s": rounded(found.served_after),
        "received_bytes": found.received,
    }


def _crowd_as_table(crowd: CrowdVerdict | None) -> dict[str, Any] | None:
    if crowd is None:
        return None
    found = crowd.found
    held = {"before": found.before, "most": found.most, "after": found.after}
    return {
        "verdict": crowd.word,
        "why": crowd.why,
        "clients": found.count,
        "served": found.served,
        "ended": found.ended,
        "ended_per_s": found.ended_per_second,
        "reaped": found.reaps,
        "reaped_per_s": found.reaps_per_second,
        "reaped_at_s": rounded(found.reaped_at),
        "returned": found.returned,
        "gave_up": found.gave_up,
        "attempts": found.attempts,
        "attempts_per_s": found.attempts_per_second,
        "most_attempts": found.most_attempts,
        "failed_attempts": found.failures,
        "fault_over_at_s": rounded(found.over_at),
        "served_again_after_s": rounded(found.served_again_after),
        "unserved": found.unserved,
        "longest_gap_s": rounded(found.gap.seconds if found.gap else None),
        "gap_at_s": rounded(found.gap.begun if found.gap else None),
        "listen_overflows": found.overflows,
        "listen_drops": found.drops,
        "queued_bytes": found.most_queued,
        **{
            f"{what}_{when}": None if reading is None else getattr(reading, what)
            for what in ("memory", "files", "threads")
            for when, reading in held.items()
        },
        "sockets_left": found.sockets_left,
    }


def in_words(done: RunResult, again: Sequence[str]) -> dict[str, Any]:
    """The texts that a report needs for a run, so that it can be made from the files alone."""
    job, found = done.job, done.verdict.found
    subject = job.scenario.part(SUBJECT)
    deadline = due(subject, found, job.terms)
    return {
        "label": job.label,
        "title": job.scenario.title,
        "story": job.scenario.story,
        "client": job.scenario.client.behaviour,
        "topology": words.topology(job.scenario),
        "company": words.company(job.scenario),
        "deeds": story.actions(job, found),
        "struck": words.struck(job.scenario),
        "kernel_saw": story.kernel_saw(done.timeline, found),
        "cost": cost(found),
        "expectation": words.expectation(subject, job.terms, found),
        "deadline_s": rounded(deadline),
        "deadline_from": None if deadline is None else counted_from(subject, found)[1].removeprefix("the "),
        "again": story.again(job, again),
        "timeline": str(Path(TIMELINES) / job.timeline_file),
    }


def rounded(seconds: float | None) -> float | None:
    """Seconds, rounded as in result files."""
    return None if seconds is None else round(seconds, _DIGITS)


def exit_code(done: Sequence[RunResult], baseline: Baseline | None = None) -> int:
    """0 all passed or known; 1 some failed, or a strict baseline is stale; 3 none failed, some inconclusive."""
    standings = Counter(standing(run, baseline) for run in done)
    if standings["failed"] or (baseline is not None and baseline.strict and baseline.is_stale(done)):
        return ExitCode.FAILED
    nothing_applied = bool(done) and not standings["passed"] and not standings["known"]
    return ExitCode.INCONCLUSIVE if standings["inconclusive"] or nothing_applied else ExitCode.PASSED


def check_folder(out: Path) -> None:
    """Make the folder, check that it may be written, and remove an earlier run's results; raises InputError."""
    require_writable(out, out / TIMELINES)
    take_away(out)


def require_writable(out: Path, folder: Path) -> None:
    """Make ``folder`` in the folder of --out and check that it may be written; raises InputError.

    Files of other programs are in the way if they have the names of ours.
    """
    try:
        for name in _MARKS:
            if (out / name).is_dir():
                raise IsADirectoryError(None, f"{name} in it is a folder")
        results = (out / name for name in _MARKS)
        timelines = folder.rglob("*.jsonl") if folder.name == TIMELINES else ()
        strange = [*(file for file in results if not is_free(file)), *(file for file in timelines if _is_strange(file))]
        for file in strange[:1]:
            theirs = file.relative_to(out)
            raise InputError(f"--out {str(out)!r}: halfopen did not write {theirs} in it; name another folder")
        probe(folder)
    except OSError as error:
        raise _unusable(out, error) from None


def is_free(file: Path) -> bool:
    """True if there is no such result file yet, or an empty one, or one that halfopen wrote. Raises OSError."""
    content = file.read_bytes() if file.exists() else b""
    return not content or _MARKS[file.name] in content


def probe(folder: Path) -> None:
    """Make a folder and check that it is writable; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".writable"
    file.touch()
    file.unlink()


def _is_strange(file: Path) -> bool:
    """True if this is no timeline. One that an interrupted call left is. Raises OSError."""
    with file.open("rb") as content:
        start = content.read(max(map(len, _TIMELINE_STARTS)))
    return bool(start) and not start.startswith(_TIMELINE_STARTS)


def take_away(out: Path) -> None:
    """Remove the results of an earlier call in a folder, and no other file; raises InputError."""
    try:
        timelines = [file for name in _TABLES for file in _timelines(out / name)]
        ours = [out / name for name in _MARKS if is_free(out / name)]
        for left in (*timelines, *ours):
            left.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(out, error) from None


def _timelines(table: Path) -> list[Path]:
    """Return the timelines that an earlier call wrote, by its table. Raises OSError."""
    if not table.exists():
        return []
    folder = (table.parent / TIMELINES).resolve()
    try:
        written = msgspec.json.decode(table.read_bytes(), type=_WrittenRuns).runs
    except msgspec.DecodeError:  # not ours, or it was cut off
        return []
    files = [(table.parent / run.timeline).resolve() for run in written if run.timeline]
    return [file for file in files if file.is_relative_to(folder)]


class _WrittenRun(msgspec.Struct):
    timeline: str | None = None


class _WrittenRuns(msgspec.Struct):
    runs: list[_WrittenRun] = []


def _unusable(out: Path, error: OSError) -> InputError:
    return InputError(f"--out {str(out)!r}: cannot be used: {reason_of(error)}; name a writable folder")


def write(out: Path, how: Conditions, done: Sequence[RunResult], wall: float) -> dict[str, Any]:
    """Write all result files into ``out``, which check_folder has approved; return the content of results.json."""
    write_timelines(out, done)
    table = as_table(how, done, wall)
    write_table(out / RESULTS, table)
    junit(how, done, wall).write(str(out / JUNIT), pretty=True)
    return table


def write_timelines(out: Path, done: Sequence[RunResult]) -> None:
    """Write the timeline of each run."""
    for run in done:
        file = out / TIMELINES / run.job.timeline_file
        file.parent.mkdir(parents=True, exist_ok=True)
        timeline.write(run.timeline, file)


def write_table(file: Path, table: Mapping[str, Any]) -> None:
    """Write one object as indented JSON."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=2) + b"\n")


_Problem = TypeVar("_Problem", junitparser.Failure, junitparser.Error)


def _with_story(result: _Problem, how: Conditions, run: RunResult) -> _Problem:
    result.text = "\n".join(story.story(run, how.again, how.baseline))
    return result


def junit(how: Conditions, done: Sequence[RunResult], wall: float) -> junitparser.JUnitXml:
    """Return a test case for each run. A failed run is a failure, an inconclusive one an error, so neither looks green.

    A known failure is skipped, with the reason. pytest does the same with expected failures, and every dashboard shows
    it.
    """
    xml = junitparser.JUnitXml("halfopen")
    suites = [run.job.scenario.suite for run in done] + [entry.suite for entry in how.left_out]
    for suite_name in dict.fromkeys(suites):
        suite = junitparser.TestSuite(f"halfopen.{suite_name}")
        suite.timestamp = how.started_at
        suite.add_property("seed", str(how.seed))
        for run in (run for run in done if run.job.scenario.suite == suite_name):
            case = junitparser.TestCase(run.job.label, classname=f"halfopen.{suite_name}", time=round(run.wall, 3))
            if how.baseline is not None and how.baseline.covers(run):
                case.result = [junitparser.Skipped(f"known failure ({how.baseline.of(run)})", "known")]
                case.system_out = run.verdict.why
            elif run.verdict.word == "not_applicable":
                case.result = [junitparser.Skipped(run.verdict.why, "not applicable")]
            elif run.verdict.word == "failed":
                case.result = [_with_story(junitparser.Failure(run.verdict.why, _class_of_blamed(run)), how, run)]
            elif run.verdict.word == "inconclusive":
                case.result = [_with_story(junitparser.Error(run.verdict.why, "inconclusive"), how, run)]
            else:
                case.system_out = run.verdict.why
            suite.add_testcase(case)
        for entry in (entry for entry in how.left_out if entry.suite == suite_name):
            case = junitparser.TestCase(entry.scenario, classname=f"halfopen.{suite_name}", time=0.0)
            case.result = [junitparser.Skipped(str(Hindrance(entry.why, entry.remedy)), "left out")]
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    xml.time = round(wall, 3)
    return xml
