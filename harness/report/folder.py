"""A folder of results: read it, and write the report into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from halfopen.errors import InputError, reason_of
from halfopen.model import timeline
from halfopen.model.timeline import Timeline
from halfopen.report import shape, sweep_page
from halfopen.report.entries import Run, candidate_of
from halfopen.report.page import Lost, render
from halfopen.results import record
from halfopen.run.runner import RunResult

_FILES = (record.RESULTS, record.COMPARISON, record.FIELD, record.SWEEP)
_NAME_ONE = "name a folder that 'halfopen run', 'compare' or 'grace' wrote (--out)"


def write(out: Path, table: Mapping[str, Any], done: Sequence[RunResult]) -> Path:
    """Write the report of runs that have just been made, from their table; return its path. Raises OSError."""
    timelines = iter([one.timeline for one in done])
    return _write(out, table, lambda _run: next(timelines))


def write_sweep(out: Path, table: Mapping[str, Any]) -> Path:
    """Write the report of a sweep from the content of grace.json; return its path. Raises OSError."""
    file = out / record.REPORT
    file.write_text(sweep_page.render(table), encoding="utf-8")
    return file


def write_again(out: Path) -> Path:
    """Write the report of a folder with results of runs or of a sweep; return its path. Raises InputError."""
    table, file = _read(out)
    is_sweep = file.name == record.SWEEP
    if not is_sweep:
        shape.check(table, repr(str(file)))
    try:
        page = sweep_page.render(table) if is_sweep else render(table, lambda run: _timeline(out, run))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else f"not as it is written: {error}"
        raise InputError(f"{str(file)!r}: {what}; make it anew with: halfopen run, compare or grace") from None
    report = out / record.REPORT
    try:
        report.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{str(report)!r} cannot be written: {reason_of(error)}; "
            f"copy {str(out)!r} to a folder that can be written to, and name that"
        ) from None
    return report


def _write(out: Path, table: Mapping[str, Any], timeline_of: Callable[[Run], Timeline]) -> Path:
    file = out / record.REPORT
    file.write_text(render(table, timeline_of), encoding="utf-8")
    return file


def _read(out: Path) -> tuple[dict[str, Any], Path]:
    """Return the results of a folder, and their file; raises InputError."""
    try:
        held = {path.name for path in out.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{str(out)!r} is no folder; {_NAME_ONE}") from None
    except OSError as error:
        raise InputError(f"{str(out)!r} cannot be read: {reason_of(error)}; {_NAME_ONE}") from None
    file = next((out / name for name in _FILES if name in held), None)
    if file is None:
        raise InputError(
            f"{str(out)!r} holds no {record.RESULTS}, no {record.COMPARISON} and no {record.SWEEP}; {_NAME_ONE}"
        )
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else error
        raise InputError(f"{str(file)!r}: cannot be read: {why}; make it anew") from None
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
