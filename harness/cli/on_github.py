"""Report the results of a call to GitHub in its jobs, and never change the exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.text import Text

from halfopen.cli import screen
from halfopen.results import github, story, workflow_commands
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult

#: Longest summary of a step, bytes (GITHUB_STEP_SUMMARY). GitHub refuses a longer one whole, at the end.
_MOST = 1000 * 1024


def tell(how: Conditions, done: Sequence[RunResult], wall: float) -> None:
    """Print annotations and add to the job's summary, if this is a job of GitHub's."""
    if not workflow_commands.is_here():
        return
    in_words = partial(story.story, where=how.again, baseline=how.baseline)
    lines = github.commands(done, how.baseline, in_words)
    headline, header = screen.summary(done, wall, how.baseline), Text.from_markup(screen.header(how)).plain
    text = github.summary(headline, header, done, how.baseline, screen.remarks(done, how.baseline), in_words)
    if (problem := _append(text)) is not None:
        lines.append(
            workflow_commands.command("warning", "halfopen", f"the job's summary could not be written: {problem}")
        )
    workflow_commands.say(lines)


def _append(text: str) -> str | None:
    """Add to the summary; returns the reason if that fails."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    try:
        with Path(name).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text if len(text.encode(errors="replace")) <= _MOST else f"{text[: _MOST // 4]}\n\n(cut off)\n")
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None
