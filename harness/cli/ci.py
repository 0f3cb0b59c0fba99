"""``halfopen run`` in CI: a part of the runs, a file of known failures, annotations and a summary on GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.markup import escape

from halfopen.cli.options import CI
from halfopen.cli.values import option
from halfopen.errors import InputError, reason_of
from halfopen.results import baseline as baselines
from halfopen.results import github
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.run.shards import Shard


@dataclass(frozen=True, slots=True)
class CiOptions:
    """Run a part of the scenarios, and accept known failures."""

    shard: Annotated[
        Shard | None,
        option(CI, "I/N", "Run one part of the runs only, such as 1/4.", parser=Shard.parse),
    ] = None
    baseline: Annotated[
        Path | None, option(CI, "FILE", "A file of known failures. They pass, new ones fail (docs/ci.md).")
    ] = None
    write_baseline: Annotated[
        Path | None, option(CI, "FILE", "Write the failures of this call to a file as known, or update the file.")
    ] = None

    def known(self) -> baselines.Baseline | None:
        """Return the known failures, and check that new ones can be written; raises InputError."""
        known = None if self.baseline is None else baselines.read(self.baseline)
        if self.write_baseline is not None:
            _check_writable(self.write_baseline)
        return known

    def report(
        self, console: Console, conditions: Conditions, done: Sequence[RunResult], wall: float, *, is_whole: bool
    ) -> None:
        """Report the results to GitHub in its jobs, and write the failures as known if all runs are done."""
        github.report(conditions, done, wall)
        if self.write_baseline is not None and is_whole:
            _write_baseline(console, self.write_baseline, done)


def _check_writable(file: Path) -> None:
    try:
        existed = _before(file) is not None
        file.open("a").close()
        if not existed:
            file.unlink()
    except OSError as error:
        raise InputError(
            f"--write-baseline {str(file)!r}: cannot be written: {reason_of(error)}; name a file in a writable folder"
        ) from None


def _write_baseline(console: Console, file: Path, done: Sequence[RunResult]) -> None:
    """Write the failures as known, keep the reasons from the old file, and print a line about it."""
    made = baselines.renewed(_before(file), done)
    file.write_text(baselines.render(made, done))
    inconclusive = sum(run.verdict.word == "inconclusive" for run in done)
    but = f"; inconclusive runs ({inconclusive}) are not written: they prove nothing" if inconclusive else ""
    count = len(made.known)
    what = "1 scenario is" if count == 1 else f"{count} scenarios are"
    console.print(f"baseline: {what} known in {escape(str(file))}{but}", soft_wrap=True)


def _before(file: Path) -> baselines.Baseline | None:
    return baselines.read(file) if file.exists() else None
