"""Output of ``halfopen run``: a header, the table, a story for each failure, the paths of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halfopen import __version__
from halfopen.netns.units import show_bytes, show_duration
from halfopen.report import anchor
from halfopen.results.baseline import Baseline, standing
from halfopen.results.record import REPORT, RESULTS, Conditions
from halfopen.results.story import story
from halfopen.run.runner import RunResult

_MARKS = {
    "passed": "[green]✓ passed[/]",
    "failed": "[red]✗ failed[/]",
    "inconclusive": "[yellow]? inconclusive[/]",
    "known": "[dim]✗ known failure[/]",
}


def header(how: Conditions, why: str | None = None, compared: str | None = None) -> str:
    """Format one line with the subject and the conditions of the measurement.

    ``why`` is the reason for a guest kernel. ``compared`` describes a comparison, if it is not of one detector.
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


def table(done: Sequence[RunResult], baseline: Baseline | None = None) -> Table:
    """Build a row for each run; fits 80 columns."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    # If the table is too wide, fold names and never numbers.
    shown.add_column("scenario", overflow="fold")
    for column in ("client", "session", "reason"):
        shown.add_column(column, no_wrap=True)
    shown.add_column("detected", justify="right", no_wrap=True)
    shown.add_column("stuck", justify="right", no_wrap=True)
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


def remarks(done: Sequence[RunResult], baseline: Baseline | None) -> list[str]:
    """Return remarks on all runs together: known failures, a stale baseline, no proof at all."""
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


def summary(done: Sequence[RunResult], wall: float, baseline: Baseline | None = None) -> str:
    """Format the number of runs by verdict, and the time they took."""
    counts = Counter[str](standing(one, baseline) for one in done)
    words = dict.fromkeys(_MARKS) | {"known": "known failure" if counts["known"] == 1 else "known failures"}
    told = ", ".join(f"{counts[word]} {words[word] or word}" for word in _MARKS if counts[word])
    return f"{told} in {show_duration(round(wall, 1))}"


def show(console: Console, how: Conditions, done: Sequence[RunResult], out: Path, wall: float) -> None:
    """Print the results of all runs."""
    console.print(table(done, how.baseline))
    for one in done:
        if standing(one, how.baseline) in {"failed", "inconclusive"}:
            where = f"report:  {out / REPORT}#{anchor(one.job.label)}"
            _paragraph(console, [*story(one, how.again, how.baseline), where])
    _paragraph(console, remarks(done, how.baseline))
    _paragraph(console, [f"{summary(done, wall, how.baseline)}; results: {out / RESULTS}, report: {out / REPORT}"])


def _paragraph(console: Console, lines: Sequence[str]) -> None:
    if lines:
        console.print(f"\n{escape(chr(10).join(lines))}", soft_wrap=True)
