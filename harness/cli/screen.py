"""What ``halfopen run`` prints: a header, the table, a story for each failure, where the files are."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import __version__
from harness.baseline import Baseline, class_of, standing
from harness.judge import deadline
from harness.results import RESULTS, Conditions
from harness.runner import Done, Job
from netns import units
from netns.units import show_bytes, show_duration

_MARKS = {
    "passed": "[green]✓ passed[/]",
    "failed": "[red]✗ failed[/]",
    "inconclusive": "[yellow]? inconclusive[/]",
    "known": "[dim]✗ known failure[/]",
}


def header(how: Conditions, why: str | None = None, compared: str | None = None) -> str:
    """One line that says what is measured, and under what conditions.

    ``why``: for what reason in a guest kernel; ``compared``: what is set against what, where it is not one detector.
    """
    target = how.target.get("command") or how.target.get("image") or how.target["kind"]
    detector = f", {compared}" if compared else f", detector {how.detector}" if how.detector else ""
    reason = f" ({escape(why)})" if why else ""
    shard = f", shard {how.shard}" if how.shard else ""
    return (
        f"halfopen {__version__}: {escape(target)}{detector}, "
        f"grace {show_duration(how.grace)}, poll {show_duration(how.poll)}{shard}; "
        f"{how.clock} clock, Linux {how.kernel}{reason}, {how.congestion_control or 'unknown congestion control'}; "
        f"seed {how.seed}"
    )


def table(done: Sequence[Done], baseline: Baseline | None = None) -> Table:
    """A row a run; fits 80 columns."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("scenario", "client", "session", "reason"):
        shown.add_column(column, no_wrap=True)
    shown.add_column("detected", justify="right")
    shown.add_column("stuck", justify="right")
    shown.add_column("verdict", no_wrap=True)
    for one in done:
        found = one.verdict.found
        detection = one.verdict.detection
        shown.add_row(
            escape(one.job.label),
            one.job.scenario.truth,
            found.outcome if found.was else "none",
            found.reason if found.reason and found.outcome != "kept" else "",
            "" if detection is None else f"{detection:.1f}s",
            show_bytes(found.stuck_bytes) if found.stuck_bytes else "",
            _MARKS[standing(one, baseline)],
        )
    return shown


def story(one: Done, where: Sequence[str] = (), baseline: Baseline | None = None) -> list[str]:
    """What went wrong, what was expected, and the command that shows it again."""
    job = one.job
    mark = "✗" if one.verdict.word == "failed" else "?"
    lines = [f"{job.label}   {topology(job)}", f"  {mark} {one.verdict.why}"]
    lines.append(f"    expected: {expectation(job)}")
    if baseline is not None and (known := baseline.of(one)):
        now = class_of(one) if one.verdict.word == "failed" else one.verdict.word
        lines.append(f"    known is another failure ({known}), and this is {now}")
    lines.append(f"again:   {again(job, where)}")
    return lines


def topology(job: Job) -> str:
    """The client's link, drawn."""
    link = str(job.scenario.link)
    return "client ──▶ server" if link == "unimpaired" else f"client ──{link}──▶ server"


def expectation(job: Job) -> str:
    """What should have become of the session."""
    scenario = job.scenario
    if scenario.expect.session == "kept":
        return "kept"
    limit = deadline(scenario, job.terms)
    since = "stall" if scenario.truth == "dead" and scenario.expect.since == "onset" else "fault"
    return scenario.expect.session + (f" within {show_duration(limit)} of the {since}" if limit else "")


def again(job: Job, where: Sequence[str] = ()) -> str:
    """The one command that runs this scenario again as it was; ``where``: the options for clock and kernel."""
    scenario = job.scenario
    words = ["halfopen", "run", scenario.called, "--seed", str(job.seed)]
    words += ["--grace", exactly(job.terms.grace), "--poll", exactly(job.terms.poll)]
    if job.detector:
        words += ["--detector", job.detector]
    if job.terms.hold is not None:
        words += ["--hold", exactly(job.terms.hold)]
    return shlex.join([*words, *job.target.arguments(), *where])


def exactly(seconds: float) -> str:
    """A duration as an option takes it, with nothing rounded."""
    shown = show_duration(seconds)
    return shown if units.duration(shown) == seconds else f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def remarks(done: Sequence[Done], baseline: Baseline | None) -> list[str]:
    """What is to be said of all runs together: of those that are known, of a baseline that is stale, of no proof."""
    lines = []
    if baseline is not None:
        known = [one for one in done if baseline.covers(one)]
        lines += [f"known:   {one.job.label} ({baseline.of(one)}): {one.verdict.why}" for one in known]
        lines += [f"fixed:   {name} ({baseline.known[name]}) passed" for name in baseline.fixed(done)]
        lines += [f"unknown: {what}" for what in baseline.strays]
        if baseline.is_stale(done):
            lines.append(f"what is fixed or unknown can go from {baseline.file}")
    if done and all(one.verdict.word == "inconclusive" for one in done):
        lines.append("nothing is proved of this server: no run was conclusive")
    return lines


def summary(done: Sequence[Done], wall: float, baseline: Baseline | None = None) -> str:
    """How many runs came to what, in how long."""
    counts = Counter[str](standing(one, baseline) for one in done)
    words = dict.fromkeys(_MARKS) | {"known": "known failure" if counts["known"] == 1 else "known failures"}
    told = ", ".join(f"{counts[word]} {words[word] or word}" for word in _MARKS if counts[word])
    return f"{told} in {show_duration(round(wall, 1))}"


def show(
    console: Console, how: Conditions, done: Sequence[Done], out: Path, wall: float, where: Sequence[str] = ()
) -> None:
    """Print what came of all runs, which were made with the options ``where`` for clock and kernel."""
    console.print(table(done, how.baseline))
    for one in done:
        if standing(one, how.baseline) in {"failed", "inconclusive"}:
            _paragraph(console, story(one, where, how.baseline))
    _paragraph(console, remarks(done, how.baseline))
    _paragraph(console, [f"{summary(done, wall, how.baseline)}; results: {out / RESULTS}"])


def _paragraph(console: Console, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{escape(chr(10).join(lines))}", soft_wrap=True)
