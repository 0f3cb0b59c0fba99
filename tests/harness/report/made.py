"""Reports of made-up runs, for tests of their contents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec

from halfopen.model.timeline import FrontSample, Sample, Timeline, make
from halfopen.report.page import render
from halfopen.results import comparison, record
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.verdict.judge import judge
from tests.harness.done import TERMS, missed, pod_job
from tests.harness.lines import event, flowing, held, held_between, line, orphaned, progress, stuck

HOW = Conditions(
    seed=7,
    clock="virtual",
    grace=30.0,
    poll=2.0,
    target={"kind": "pod"},
    detector="none",
    started_at="2026-01-01T00:00:00+00:00",
    kernel="6.12.0",
    congestion_control="cubic",
)


def judged(scenario: str, timeline: Timeline, /, **changes: object) -> RunResult:
    """Return a run of a shipped scenario, with the verdict on its timeline."""
    job = dataclasses.replace(pod_job(scenario), **changes)  # type: ignore[arg-type]
    return RunResult(job, judge(job.scenario, timeline, TERMS), timeline, 1.0)


def reaped(**changes: object) -> RunResult:
    """Return a run with a client frozen at 5 s, whose session ends at 36 s and leaves an orphan."""
    timeline = line(
        flowing(0, 5),
        progress(0, 5, False),
        event(5, "fault", "begun", step=0, fault="freeze"),
        stuck(5, 36, outq=456_000),
        event(36, "target", "dead_client_reaped", reason="send_stall"),
        orphaned(36, 60, outq=456_000),
    )
    return judged("frozen", timeline, **changes)


def kept(**changes: object) -> RunResult:
    """Return a run with a client that is alive all along."""
    return judged("active", line(flowing(0, 78), progress(0, 78, True)), **changes)


def costly() -> RunResult:
    """Return a run with a slow client for which the server holds 196 MB."""
    timeline = line(flowing(0, 78), progress(0, 78, True))
    return judged("trickle_16k", held_between(timeline, held(10), held(70, rss=246_000_000), held(77, rss=246_000_000)))


def behind_a_proxy() -> RunResult:
    """Return a run with a client that vanishes behind a proxy, which holds its connection."""
    served = [*flowing(0, 8), *stuck(8, 125, outq=64_000)]
    facing = [_in_front(sample) for sample in (*flowing(0, 5), *stuck(5, 125, outq=152_000, snd_wnd=65536))]
    begun = event(5, "fault", "begun", step=0, fault="vanish")
    return judged("edge_holds", make(served, [begun], facing))


def _in_front(sample: Sample) -> FrontSample:
    return FrontSample(**{name: value for name, value in msgspec.structs.asdict(sample).items() if name != "kind"})


def table(done: Sequence[RunResult]) -> dict[str, Any]:
    """Return the content of results.json."""
    return record.as_table(HOW, done, 1.0)


def page(done: Sequence[RunResult]) -> str:
    """Return the report of ``halfopen run``."""
    timelines = iter([one.timeline for one in done])
    return render(table(done), lambda _run: next(timelines))


def compared() -> list[RunResult]:
    """Return two detectors' runs of two scenarios."""
    return [
        dataclasses.replace(one, job=dataclasses.replace(one.job, detector=who, candidate=who))
        for who, runs in (("none", [missed(), kept()]), ("bytes-acked", [reaped(), kept()]))
        for one in runs
    ]


def comparison_page(done: Sequence[RunResult]) -> str:
    """Return the report of ``halfopen compare``."""
    timelines = iter([one.timeline for one in done])
    how = dataclasses.replace(HOW, detector=None)
    return render(comparison.as_table(how, done, 1.0), lambda _run: next(timelines))
