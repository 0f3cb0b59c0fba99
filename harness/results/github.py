"""The results of a call in a GitHub job: annotations on the run's page, and a job summary in Markdown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from halfopen.errors import reason_of
from halfopen.results import record, story, words, workflow_commands
from halfopen.results.baseline import Baseline, standing
from halfopen.results.record import Conditions
from halfopen.results.workflow_commands import command
from halfopen.run.runner import RunResult

#: Number of annotations of each level that GitHub shows for a step. It drops the rest.
MOST = 10
#: Longest summary of a step, bytes (GITHUB_STEP_SUMMARY). GitHub refuses a longer one whole, at the end.
_LONGEST = 1000 * 1024
#: Characters with a meaning in Markdown, or in HTML within it.
_SPECIAL = "\\`*_{}[]<>()#+-!|~&@:"

Story = Callable[[RunResult], Sequence[str]]


def report(how: Conditions, done: Sequence[RunResult], wall: float) -> None:
    """Print annotations and add to the job's summary, if this is a GitHub job. Never changes the exit code."""
    if not workflow_commands.is_here():
        return
    in_words = partial(story.story, where=how.again, baseline=how.baseline)
    lines = commands(done, how.baseline, in_words)
    title = story.summary(done, wall, how.baseline)
    header = words.headline(record.conditions_as_table(how, wall))
    text = summary(title, header, done, how.baseline, story.remarks(done, how.baseline), in_words)
    if (problem := _append(text)) is not None:
        lines.append(command("warning", "halfopen", f"the job's summary could not be written: {problem}"))
    workflow_commands.say(lines)


def _append(text: str) -> str | None:
    """Add to the summary; returns the reason if that fails."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    try:
        with Path(name).open("a", encoding="utf-8", errors="replace") as file:
            is_short = len(text.encode(errors="replace")) <= _LONGEST
            file.write(text if is_short else f"{text[: _LONGEST // 4]}\n\n(cut off)\n")
    except OSError as error:
        return reason_of(error)
    return None


def commands(done: Sequence[RunResult], baseline: Baseline | None, story: Story) -> list[str]:
    """Return a line for each failure, then for each inconclusive run and each stale line of a baseline."""
    errors = [_of(one, "error", story) for one in done if standing(one, baseline) == "failed"]
    warnings = [_of(one, "warning", story) for one in done if standing(one, baseline) == "inconclusive"]
    if baseline is not None:
        fixed = (f"{name} passed; remove it from {baseline.file}" for name in baseline.fixed(done))
        stale = chain(fixed, baseline.strays)
        warnings += [command("warning", "halfopen: known failures", remark) for remark in stale]
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
    if remarked := list(remarks):
        lines += ["", *_block(remarked)]
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
    row = words.row(record.run_as_table(one))
    cells = (one.job.label, row.client, row.session, row.detected)
    shown = words.STANDINGS[stands]
    return f"| {' | '.join(map(escaped, cells))} | {shown.emoji} {shown.words} |"


def _block(lines: Sequence[str]) -> list[str]:
    """A code block with a fence that the text cannot end (CommonMark 0.31, section 4.5)."""
    text = "\n".join(lines)
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}text", text, fence]
