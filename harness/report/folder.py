"""A folder of results: what is read from it, and the report that is written into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness import results, timeline
from harness.errors import InputError
from harness.report import sweep
from harness.report.entries import Run, contender_of
from harness.report.page import render
from harness.runner import Done
from harness.timeline import Timeline

_FILES = (results.RESULTS, results.COMPARISON, results.FIELD, results.SWEEP)


def write(out: Path, table: Mapping[str, Any], done: Sequence[Done]) -> Path:
    """Write the report of runs that have just been made, whose table it is; gives its path. Raises OSError."""
    timelines = iter([one.timeline for one in done])
    return _write(out, table, lambda _run: next(timelines))


def write_sweep(out: Path, table: Mapping[str, Any]) -> Path:
    """Write the report of a sweep, of the content of grace.json; gives its path. Raises OSError."""
    return _put(out, sweep.render(table))


def write_again(out: Path) -> Path:
    """Write the report of a folder that holds results, or a sweep's; gives its path. Raises InputError."""
    table, file = _read(out)
    try:
        if file.name == results.SWEEP:
            return write_sweep(out, table)
        return _write(out, table, lambda run: _timeline(out, run))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else f"not as it is written: {error}"
        raise InputError(f"{str(file)!r}: {what}; make it anew with: halfopen run, compare or grace") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{str(out / results.REPORT)!r} cannot be written: {reason}") from None


def _write(out: Path, table: Mapping[str, Any], timeline_of: Callable[[Run], Timeline | None]) -> Path:
    return _put(out, render(table, timeline_of))


def _put(out: Path, page: str) -> Path:
    file = out / results.REPORT
    file.write_text(page, encoding="utf-8")
    return file


def _read(out: Path) -> tuple[dict[str, Any], Path]:
    """The results of a folder, and where they stand; raises InputError."""
    if not out.is_dir():
        raise InputError(f"{str(out)!r} is no folder; name one that 'halfopen run', 'compare' or 'grace' wrote (--out)")
    file = next((out / name for name in _FILES if (out / name).is_file()), None)
    if file is None:
        raise InputError(
            f"{str(out)!r} holds no {results.RESULTS}, no {results.COMPARISON} and no {results.SWEEP}; "
            "name a folder that 'halfopen run', 'compare' or 'grace' wrote (--out)"
        )
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{str(file)!r}: cannot be read: {error}; make it anew") from None
    return table, file


def _timeline(out: Path, run: Run) -> Timeline | None:
    """The timeline of a run; None where its file is missing. Raises InputError for one that is broken."""
    named = run["timeline"] if "timeline" in run else str(_usual(run))
    if named is None or not (file := out / named).is_file() or not file.resolve().is_relative_to(out.resolve()):
        return None
    try:
        return timeline.read(file)
    except (OSError, msgspec.MsgspecError, AttributeError, KeyError) as error:
        raise InputError(f"{str(file)!r}: no timeline can be read there: {error}; make it anew") from None


def _usual(run: Run) -> Path:
    """Where a run's timeline is, if its results do not say."""
    label, contender = str(run["label"]), contender_of(run)
    own = label.removeprefix(f"{contender}/")
    file = f"{own.replace('/', '-')}.jsonl"
    return Path(results.TIMELINES, *([contender] if own != label else []), file)
