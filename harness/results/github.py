"""GitHub's view of a call: annotations on the run's page, and a job summary in Markdown. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from halfopen.results.baseline import Baseline, standing
from halfopen.results.workflow_commands import command
from halfopen.run.runner import RunResult

#: Number of annotations of each level that GitHub shows for a step. It drops the rest.
MOST = 10

_MARKS = {"passed": "✅ passed", "failed": "❌ failed", "inconclusive": "⚠️ inconclusive", "known": "☑️ known failure"}
#: Characters with a meaning in Markdown, or in HTML within it.
_SPECIAL = "\\`*_{}[]<>()#+-!|~&@:"

Story = Callable[[RunResult], Sequence[str]]


def commands(done: Sequence[RunResult], baseline: Baseline | None, story: Story) -> list[str]:
    """Return a line for each failure, then for each inconclusive run and each stale line of a baseline."""
    errors = [_of(one, "error", story) for one in done if standing(one, baseline) == "failed"]
    warnings = [_of(one, "warning", story) for one in done if standing(one, baseline) == "inconclusive"]
    if baseline is not None:
        fixed = (f"{name} passed; it can go from {baseline.file}" for name in baseline.fixed(done))
        stale = chain(fixed, baseline.strays)
        warnings += [command("warning", "halfopen: known failures", told) for told in stale]
    return _fitting("error", errors) + _fitting("warning", warnings)


def summary(
    headline: str,
    header: str,
    done: Sequence[RunResult],
    baseline: Baseline | None,
    remarks: Iterable[str],
    story: Story,
) -> str:
    """The job's summary in Markdown: a row for each run, and a story for each failed or inconclusive one."""
    lines = [f"## halfopen: {escaped(headline)}", "", escaped(header), ""]
    lines += ["| scenario | client | session | detected | verdict |", "|---|---|---|---|---|"]
    lines += [_row(one, standing(one, baseline)) for one in done]
    for one in done:
        if standing(one, baseline) in {"failed", "inconclusive"}:
            lines += ["", f"### {escaped(one.job.label)}", "", *_block(story(one))]
    if told := list(remarks):
        lines += ["", *_block(told)]
    return "\n".join([*lines, "", ""])


def escaped(text: str) -> str:
    """Escape text so that Markdown shows it literally, on one line."""
    line = " ".join(text.split())
    return "".join(f"&#{ord(letter)};" if letter in _SPECIAL else letter for letter in line)


def _of(one: RunResult, level: str, story: Story) -> str:
    return command(level, f"halfopen: {one.job.label}", "\n".join([one.verdict.why, "", *story(one)]))


def _fitting(level: str, lines: Sequence[str]) -> list[str]:
    """Return all lines, or as many as are shown. The last one then gives the number of the rest."""
    if len(lines) <= MOST:
        return list(lines)
    more = f"{len(lines) - MOST + 1} more are in the job's summary and in its log"
    return [*lines[: MOST - 1], command(level, "halfopen", more)]


def _row(one: RunResult, stands: str) -> str:
    found, detection = one.verdict.found, one.verdict.detection
    cells = (
        one.job.label,
        one.job.scenario.truth,
        found.outcome if found.was else "none",
        "" if detection is None else f"{detection:.1f}s",
    )
    return f"| {' | '.join(map(escaped, cells))} | {_MARKS[stands]} |"


def _block(lines: Sequence[str]) -> list[str]:
    """A code block with a fence that the text cannot end (CommonMark 0.31, section 4.5)."""
    text = "\n".join(lines)
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}text", text, fence]
