"""A recorded link: what it did to packets from when to when, as a table of text (docs/grace-mix.md). Pure."""

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
from halfopen.netns.errors import UnitError
from halfopen.netns.units import plain, show_duration

#: What a column says, by its name, and what a bare number in it is: recordings are tables of numbers.
_UNITS = {"rate": "bit", "delay": "s", "jitter": "s", "queue": "s", "loss": ""}
_WAYS = ("to_client", "to_server")
_COLUMNS = [*_UNITS, *(f"{way}.{name}" for way in _WAYS for name in _UNITS)]
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?")
#: A line of all columns has some 150 characters; what has more than this is no table, and is not to be quoted.
_LONGEST_LINE = 1000


#: Moments are told to the microsecond.
_DIGITS = 6
#: Of so many packets lost it is as if all were: of eight attempts one in six finds all of them lost.
_DARK = 0.8


Cells = tuple[tuple[str, str], ...]
"""What a line asks for: its columns, and text with units."""


@dataclass(frozen=True, slots=True)
class Moment:
    """From when on the link does what."""

    at: float
    """Seconds from the recording's start."""
    cells: Cells
    """What it does, by column, as text with units."""
    link: LinkSpec

    @property
    def is_dark(self) -> bool:
        """Whether next to nothing gets through, one way or both: then retransmissions are lost, too."""
        return max(self.link.to_client.loss, self.link.to_server.loss) >= _DARK


@dataclass(frozen=True, slots=True)
class Trace:
    """A recording, or a stretch of one."""

    moments: tuple[Moment, ...]
    length: float
    """Seconds."""

    def __str__(self) -> str:
        return f"of {len(self.moments)} moments over {show_duration(self.length)}"

    @property
    def text(self) -> str:
        """The same as a table, which :func:`parse` reads."""
        columns = list(dict.fromkeys(name for moment in self.moments for name, _ in moment.cells)) or ["loss"]
        rows = [["time", *columns]]
        for moment in self.moments:
            cells = dict(moment.cells)
            rows.append([plain(moment.at) + "s", *(cells.get(name, "") for name in columns)])
        rows.append([plain(self.length) + "s"])
        return "".join(", ".join(row).rstrip(", ") + "\n" for row in rows)

    @property
    def longest_dark(self) -> float:
        """The longest time in which nothing gets through, seconds."""
        ends = [*(moment.at for moment in self.moments[1:]), self.length]
        lasting = [(one.is_dark, end - one.at) for one, end in zip(self.moments, ends, strict=True)]
        stretches = (list(stretch) for dark, stretch in groupby(lasting, lambda one: one[0]) if dark)
        return max((sum(seconds for _, seconds in stretch) for stretch in stretches), default=0.0)

    def window(self, start: float, length: float) -> Trace:
        """What was from ``start`` on, for so long, seconds; as far as the recording goes."""
        lasting = round(min(length, self.length - start), _DIGITS)
        begun = [(round(max(one.at - start, 0.0), _DIGITS), one) for one in self.moments]
        # Of those that fall onto one moment the last is in force.
        found = {at: Moment(at, one.cells, one.link) for at, one in begun if at < lasting}
        return Trace(tuple(found.values()), lasting)


def load(path: Path) -> Trace:
    """A recording from a file; raises InputError that names the file and the line."""
    return parse(text_files.text_of(path, "trace file"), str(path))


def parse(text: str, where: str) -> Trace:
    """A recording from text; ``where`` is what errors call it. Raises InputError that names the line."""
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
    """The lines that say something, with their numbers."""
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
    # As exact as it is written again.
    return round(seconds, _DIGITS)


def _asked(head: Sequence[str], cells: Sequence[str], where: str) -> Cells:
    if len(cells) > len(head):
        raise InputError(f"{where}: {len(cells)} values for {len(head)} columns")
    named = zip(head[1:], cells[1:])  # noqa: B905 (what is left out at a line's end is no limit)
    return tuple((name, _with_unit(cell, _UNITS[name.split(".")[-1]])) for name, cell in named if cell)


def _moment(at: float, asked: Cells, links: dict[Cells, LinkSpec], where: str) -> Moment:
    """``links`` are those of the lines before: most say what an earlier one does."""
    if asked not in links:
        links[asked] = _link(dict(asked), where)
    return Moment(at, asked, links[asked])


def _with_unit(cell: str, unit: str) -> str:
    """A bare number with its unit: seconds, bits a second, or a share of one."""
    if not _NUMBER.fullmatch(cell) or math.isinf(float(cell)):
        return cell
    value = float(cell) if unit else float(cell) * 100
    return plain(value) + (unit or "%")


def _link(asked: Mapping[str, str], where: str) -> LinkSpec:
    """What the link does, a direction's own columns in place of those for both. A rate of nothing is darkness."""
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
