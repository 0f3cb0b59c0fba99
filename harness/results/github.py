"""The results of a call in a GitHub job: annotations on the run's page, and a job summary in Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from halfopen.errors import reason_of
from halfopen.results import record, story, words, workflow_commands
from halfopen.results.baseline import standing
from halfopen.results.record import Conditions
from halfopen.results.workflow_commands import command
from halfopen.run import hindrances
from halfopen.run.runner import RunResult

#: Number of annotations of each level that GitHub shows for a step. It drops the rest.
MOST = 10
#: Longest summary of a step, bytes (GITHUB_STEP_SUMMARY). GitHub refuses a longer one whole, at the end.
_LONGEST = 1000 * 1024
#: Characters with a meaning in Markdown, or in HTML within it.
_SPECIAL = "\\`*_{}[]<>()#+-!|~&@:"


def report(how: Conditions, done: Sequence[RunResult], wall: float) -> None:
    """Print annotations and add to the job's summary, if this is a GitHub job. Never changes the exit code."""
    if not workflow_commands.is_here():
        return
    lines = commands(how, done)
    if (problem := _append(summary(how, done, wall))) is not None:
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


def commands(how: Conditions, done: Sequence[RunResult]) -> list[str]:
    """Return a line for each failure, then for each inconclusive run and each stale line of a baseline."""
    errors = [_annotation("error", how, run) for run in done if standing(run, how.baseline) == "failed"]
    warnings = [_annotation("warning", how, run) for run in done if standing(run, how.baseline) == "inconclusive"]
    if how.baseline is not None:
        fixed = (f"{name} passed; remove it from {how.baseline.file}" for name in how.baseline.fixed(done))
        stale = chain(fixed, how.baseline.strays)
        warnings += [command("warning", "halfopen: known failures", remark) for remark in stale]
    return _fitting("error", errors) + _fitting("warning", warnings)


def summary(how: Conditions, done: Sequence[RunResult], wall: float) -> str:
    """The job's summary in Markdown: a row for each run, and a story for each failed or inconclusive run."""
    header = words.headline(record.conditions_as_table(how, wall))
    lines = [
        f"## halfopen: {escaped(story.summary(done, wall, how.baseline, len(how.left_out)))}",
        "",
        escaped(header),
        "",
    ]
    lines += ["| scenario | client | session | detected | verdict |", "|---|---|---|---|---|"]
    lines += [_row(run, standing(run, how.baseline)) for run in done]
    for run in done:
        if standing(run, how.baseline) in {"failed", "inconclusive"}:
            lines += ["", f"### {escaped(run.job.label)}", "", *_block(story.story(run, how.again, how.baseline))]
    if remarks := story.remarks(done, how.baseline):
        lines += ["", *_block(remarks)]
    if how.left_out:
        left_out = [*hindrances.notes(how.left_out), *hindrances.remedies(how.left_out)]
        lines += ["", *_block(left_out)]
    return "\n".join([*lines, "", ""])


def escaped(text: str) -> str:
    """Escape text so that Markdown shows it literally, on one line."""
    line = " ".join(text.split())
    return "".join(f"&#{ord(letter)};" if letter in _SPECIAL else letter for letter in line)


def _annotation(level: str, how: Conditions, run: RunResult) -> str:
    text = [run.verdict.why, "", *story.story(run, how.again, how.baseline)]
    return command(level, f"halfopen: {run.job.label}", "\n".join(text))


def _fitting(level: str, lines: Sequence[str]) -> list[str]:
    """Return all lines, or as many as are shown. The last one then gives the number of the rest."""
    if len(lines) <= MOST:
        return list(lines)
    more = f"{len(lines) - MOST + 1} more are in the job's summary and in its log"
    return [*lines[: MOST - 1], command(level, "halfopen", more)]


def _row(run: RunResult, stands: str) -> str:
    row = words.row(record.run_as_table(run))
    cells = (run.job.label, row.client, row.session, row.detected)
    shown = words.STANDINGS[stands]
    return f"| {' | '.join(map(escaped, cells))} | {shown.emoji} {shown.words} |"


def _block(lines: Sequence[str]) -> list[str]:
    """A code block with a fence that the text cannot end (CommonMark 0.31, section 4.5)."""
    text = "\n".join(lines)
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}text", text, fence]
