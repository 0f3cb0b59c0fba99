"""A recorded link: what it did to packets over time, as a table of text (docs/grace-mix.md). Pure."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from halfopen.errors import InputError, suggest
from halfopen.model import text_files
from halfopen.model.link_spec import LinkSpec
from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError
from halfopen.netns.units import plain, show_duration

#: The columns by name, each with the unit of a bare number in it: recordings are tables of numbers.
_UNITS = {"rate": "bit", "delay": "s", "jitter": "s", "queue": "s", "loss": ""}
_WAYS = ("to_client", "to_server")
_COLUMNS = [*_UNITS, *(f"{way}.{name}" for way in _WAYS for name in _UNITS)]
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
#: A line with all columns has some 150 characters. A line longer than this is no table, and is not quoted.
_LONGEST_LINE = 1000


#: Digits after the point of a moment, so to the microsecond.
_DIGITS = 6
#: Share of lost packets from which a link counts as dark: of eight attempts, one time in six all are lost.
_DARK = 0.8


Cells = tuple[tuple[str, str], ...]
"""The settings of one line: columns, and texts with units."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The link's settings from one moment on."""

    at: float
    """Seconds from the recording's start."""
    cells: Cells
    """Settings by column, as texts with units."""
    link: LinkSpec

    @property
    def is_dark(self) -> bool:
        """True if next to nothing gets through in at least one direction, so that retransmissions are lost too."""
        return max(self.link.to_client.loss, self.link.to_server.loss) >= _DARK


@dataclass(frozen=True, slots=True)
class Trace:
    """A recording, or part of one."""

    moments: tuple[Moment, ...]
    length: float
    """Length in seconds."""

    def __str__(self) -> str:
        return f"of {len(self.moments)} moments over {show_duration(self.length)}"

    @property
    def text(self) -> str:
        """The recording as a table that :func:`parse` reads."""
        columns = list(dict.fromkeys(name for moment in self.moments for name, _ in moment.cells)) or ["loss"]
        rows = [["time", *columns]]
        for moment in self.moments:
            cells = dict(moment.cells)
            rows.append([plain(moment.at) + "s", *(cells.get(name, "") for name in columns)])
        rows.append([plain(self.length) + "s"])
        return "".join(", ".join(row).rstrip(", ") + "\n" for row in rows)

    @property
    def longest_dark(self) -> float:
        """Longest time in seconds in which nothing gets through."""
        ends = [*(moment.at for moment in self.moments[1:]), self.length]
        lasting = [(one.is_dark, end - one.at) for one, end in zip(self.moments, ends, strict=True)]
        stretches = (list(stretch) for dark, stretch in groupby(lasting, lambda one: one[0]) if dark)
        return max((sum(seconds for _, seconds in stretch) for stretch in stretches), default=0.0)

    def window(self, start: float, length: float) -> Trace:
        """Return the part from ``start`` on, ``length`` seconds long, or to the recording's end."""
        lasting = round(min(length, self.length - start), _DIGITS)
        begun = [(round(max(one.at - start, 0.0), _DIGITS), one) for one in self.moments]
        # Of several at one moment, the last is in force.
        found = {at: Moment(at, one.cells, one.link) for at, one in begun if at < lasting}
        return Trace(tuple(found.values()), lasting)


def load(path: Path) -> Trace:
    """Load a recording from a file; raises InputError that names the file and the line."""
    return parse(text_files.text_of(path, "trace file"), str(path))


def parse(text: str, where: str) -> Trace:
    """Parse a recording. Errors call it ``where``. Raises InputError that names the line."""
    rows = [(n, _cells(line, f"{where}: line {n}")) for n, line in _lines(text)]
    if not rows:
        raise InputError(f"{where}: empty; the first line names the columns, such as 'time, rate, delay, loss'")
    (number, head), body = rows[0], rows[1:]
    _check_head(head, f"{where}: line {number}")
    if len(body) < 2:
        raise InputError(f"{where}: needs two lines below the columns' names at least: the last one's time is its end")
    times = [_time(cells[0], f"{where}: line {n}") for n, cells in body]
    for (n, cells), (before, after) in zip(body[1:], pairwise(times), strict=True):
        if after <= before:
            raise InputError(f"{where}: line {n}: time {cells[0]!r} is not later than that of the line before")
    start = times[0]
    links: dict[Cells, LinkSpec] = {}
    moments = [
        _moment(round(at - start, 6), _asked(head, cells, f"{where}: line {n}"), links, f"{where}: line {n}")
        for at, (n, cells) in zip(times[:-1], body[:-1], strict=True)
    ]
    return Trace(tuple(moments), round(times[-1] - start, 6))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines with content, with their numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        said = line.split("#")[0].strip()
        if said:
            yield number, said


def _cells(line: str, where: str) -> list[str]:
    if len(line) > _LONGEST_LINE:
        raise InputError(f"{where}: {len(line):,} characters, which are no line of a table")
    return [cell.strip() for cell in line.split(",")]


def _check_head(head: Sequence[str], where: str) -> None:
    if head[0] != "time":
        raise InputError(f"{where}: the first column is 'time', got {head[0]!r}; commas stand between columns")
    for name in head[1:]:
        if name not in _COLUMNS:
            raise InputError(f"{where}: unknown column {name!r}; {suggest(name, _COLUMNS)}")
    if len(head) < 2 or len(set(head)) < len(head):
        raise InputError(f"{where}: columns beside 'time', each once, got {', '.join(head)!r}")


def _time(text: str, where: str) -> float:
    try:
        seconds = units.duration(_with_unit(text, "s"))
    except UnitError as error:
        raise InputError(f"{where}: time: {error}") from None
    if seconds > units.LONGEST:
        raise InputError(f"{where}: time: a duration is at most {show_duration(units.LONGEST)}: got {text!r}")
    # Rounded as it is written again.
    return round(seconds, _DIGITS)


def _asked(head: Sequence[str], cells: Sequence[str], where: str) -> Cells:
    if len(cells) > len(head):
        raise InputError(f"{where}: {len(cells)} values for {len(head)} columns")
    named = zip(head[1:], cells[1:])  # noqa: B905 (what is left out at a line's end is no limit)
    return tuple((name, _with_unit(cell, _UNITS[name.split(".")[-1]])) for name, cell in named if cell)


def _moment(at: float, asked: Cells, links: dict[Cells, LinkSpec], where: str) -> Moment:
    """Return a moment. ``links`` caches the links of earlier lines, since most lines repeat one."""
    if asked not in links:
        links[asked] = _link(dict(asked), where)
    return Moment(at, asked, links[asked])


def _with_unit(cell: str, unit: str) -> str:
    """Add the unit to a bare number: seconds, bits a second, or percent for a share of one."""
    if not _NUMBER.fullmatch(cell) or math.isinf(float(cell)):
        return cell
    value = float(cell) if unit else float(cell) * 100
    return plain(value) + (unit or "%")


def _link(asked: Mapping[str, str], where: str) -> LinkSpec:
    """Return the link for these settings. A direction's own columns override those for both. A rate of 0 means dark."""
    ways: dict[str, dict[str, str]] = {way: {} for way in _WAYS}
    for name, text in asked.items():
        way, _, column = name.rpartition(".")
        for one in [way] if way else _WAYS:
            if way or f"{one}.{column}" not in asked:
                ways[one][column] = text
    return LinkSpec.from_table({way: _darkened(does) for way, does in ways.items()}, where)


def _darkened(does: dict[str, str]) -> dict[str, str]:
    if _is_nothing(does.get("rate", "")):
        return {name: text for name, text in does.items() if name not in {"rate", "queue"}} | {"loss": "100%"}
    return does


def _is_nothing(rate: str) -> bool:
    with contextlib.suppress(UnitError):
        return not units.bit_rate(rate)
    return False
