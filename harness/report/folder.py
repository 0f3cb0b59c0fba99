"""A folder of results: read it, and write the report into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.model import schema, timeline
from halfopen.model.timeline import Timeline
from halfopen.report import sweep_page
from halfopen.report.entries import candidate_of
from halfopen.report.page import Lost, render
from halfopen.results import record
from halfopen.results.words import Run
from halfopen.run.hindrances import LeftOut
from halfopen.run.runner import RunResult

_FILES = (record.RESULTS, record.COMPARISON, record.FIELD, record.SWEEP)
_NAME_ONE = "name a folder that 'halfopen run', 'compare' or 'grace' wrote (--out)"


class _ReportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a run that a report needs. Those with a default may be missing, as in results of older versions."""

    scenario: str
    verdict: Literal["passed", "failed", "inconclusive", "not_applicable"]
    label: str | None = None
    repeat: int = 1
    known: bool = False
    stuck_bytes: int | None = None
    fault_at_s: float | None = None
    onset_s: float | None = None
    deadline_s: float | None = None
    deadline_from: str | None = None
    reaped_at_s: float | None = None
    detection_s: float | None = None
    after_fault_s: float | None = None
    topology: list[dict[str, Any]] | None = None
    struck: dict[str, str] | None = None
    deeds: list[str] | None = None
    kernel_saw: list[str] | None = None
    timeline: str | None = None


class _ReportedTable(msgspec.Struct, frozen=True, kw_only=True):
    grace_s: float
    runs: list[_ReportedRun]
    poll_s: float | None = None
    target: dict[str, Any] | None = None
    detectors: dict[str, dict[str, int]] = {}
    targets: list[dict[str, Any]] = []
    summary: dict[str, dict[str, Any]] | None = None
    profile: dict[str, Any] | None = None
    left_out: list[LeftOut] = []


def check_types(table: Mapping[str, Any], where: str) -> None:
    """Check that these are results; raises InputError with ``where``, the key, the value, and the expected type."""
    schema.convert(table, _ReportedTable, where)


def write(out: Path, table: Mapping[str, Any], done: Sequence[RunResult]) -> None:
    """Write the report of runs that have just been made, from their table. Raises OSError."""
    timelines = iter([one.timeline for one in done])
    (out / record.REPORT).write_text(render(table, lambda _run: next(timelines)), encoding="utf-8")


def write_sweep(out: Path, table: Mapping[str, Any]) -> None:
    """Write the report of a sweep from the content of grace.json. Raises OSError."""
    (out / record.REPORT).write_text(sweep_page.render(table), encoding="utf-8")


def write_again(out: Path) -> Path:
    """Write the report of a folder with results of runs or of a sweep; return its path. Raises InputError."""
    table, file = _read(out)
    is_sweep = file.name == record.SWEEP
    if not is_sweep:
        check_types(table, repr(str(file)))
    try:
        page = sweep_page.render(table) if is_sweep else render(table, lambda run: _timeline(out, run))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else f"not valid: {error}"
        raise InputError(f"{str(file)!r}: {what}; write it again with: halfopen run, compare or grace") from None
    report = out / record.REPORT
    try:
        if not record.is_free(report):
            raise InputError(f"{str(report)!r}: halfopen did not write this file; move it away")
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{str(report)!r}: cannot be written: {reason_of(error)}; "
            f"copy {str(out)!r} to a writable folder, and name that"
        ) from None
    return report


def _read(out: Path) -> tuple[dict[str, Any], Path]:
    """Return the results of a folder, and their file; raises InputError."""
    try:
        held = {path.name for path in out.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{str(out)!r}: not a folder; {_NAME_ONE}") from None
    except OSError as error:
        raise InputError(f"{str(out)!r}: cannot be read: {reason_of(error)}; {_NAME_ONE}") from None
    file = next((out / name for name in _FILES if name in held), None)
    if file is None:
        raise InputError(f"{str(out)!r}: has no {', '.join(_FILES[:-1])} or {_FILES[-1]}; {_NAME_ONE}")
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else error
        raise InputError(
            f"{str(file)!r}: cannot be read: {why}; write it again with: halfopen run, compare or grace"
        ) from None
    return table, file


def _timeline(out: Path, run: Run) -> Timeline | Lost:
    """Return the timeline of a run, or the reason why there is none: missing, or broken at some line."""
    named = run["timeline"] if "timeline" in run else str(_usual(run))
    if named is None or not (file := out / named).resolve().is_relative_to(out.resolve()):
        return Lost("is missing")
    try:
        return timeline.read(file)
    except (FileNotFoundError, NotADirectoryError):
        return Lost("is missing")
    except OSError as error:
        return Lost(f"cannot be read ({named}: {reason_of(error)})")
    except ValueError as error:  # an invalid file name too
        return Lost(f"cannot be read ({named}, {error})")


def _usual(run: Run) -> Path:
    """Return the path of a run's timeline for results that do not name it."""
    label, candidate = str(run["label"]), candidate_of(run)
    own = label.removeprefix(f"{candidate}/")
    file = f"{own.replace('/', '-')}.jsonl"
    return Path(record.TIMELINES, *([candidate] if own != label else []), file)
