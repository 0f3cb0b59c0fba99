"""report.html: one self-contained file from results and timelines alone. Pure but for reading its own parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from halfopen.model.timeline import Timeline
from halfopen.report import timeline_curves
from halfopen.report.client_tracks import Clients, clients
from halfopen.report.entries import Entry, entry, is_comparison, runs_of
from halfopen.report.parts import part, scripts, template
from halfopen.results import comparison, words
from halfopen.results.words import Run
from halfopen.run import hindrances
from halfopen.run.hindrances import LeftOut

#: Columns of pixels to draw curves for: a screen's, or fewer with many runs, which keeps the file small.
_FINE, _COARSE, _MANY = 1500, 400, 60
#: With more runs than this that went wrong, a page that opens them all would be no overview.
_MOST_OPEN = 12
#: Standings in the order of their urgency.
_URGENCY = ("failed", "inconclusive", "known", "not_applicable", "passed")


@dataclass(frozen=True, slots=True)
class Lost:
    """A missing or unreadable timeline."""

    why: str
    """The end of a sentence: that it is missing, or cannot be read."""


class Section(NamedTuple):
    """One run on the page."""

    entry: Entry
    data: str | Lost
    """The packed picture of the subject."""
    clients: Clients | None
    """All clients; None if there is only one."""


class Block(NamedTuple):
    """One suite of a comparison: scenarios across, detectors or servers down. Each cell has a text and a run."""

    suite: str
    scenarios: tuple[str, ...]
    rows: list[tuple[str, list[tuple[str, Entry] | None]]]


def render(table: Mapping[str, Any], timeline_of: Callable[[Run], Timeline | Lost]) -> str:
    """Return the page for the content of results.json, compare.json or field.json; raises KeyError for other content.

    ``timeline_of`` returns the timeline of a run or its substitute. It is called once for each run, in order.
    """
    runs = runs_of(table)
    columns = _FINE if len(runs) <= _MANY else _COARSE
    sections = [_section(run, float(table["grace_s"]), timeline_of(run), columns) for run in runs]
    entries = [section.entry for section in sections]
    compares = is_comparison(table)
    left_out = [LeftOut(**entry) for entry in table.get("left_out", ())]
    wrong = sum(one.standing in {"failed", "inconclusive"} for one in entries)
    return template("report.html.j2").render(
        headline=words.headline(table, compared(entries) if "detectors" in table else ""),
        profile=(table.get("profile") or {}).get("text", ""),
        counts=counts(entries),
        entries=entries,
        sections=sorted(sections, key=lambda section: _URGENCY.index(section.entry.standing)),
        blocks=blocks(entries) if compares else [],
        summary=comparison.summary_rows(table),
        summary_heads=comparison.summary_heads(table),
        legend=words.LEGEND_ENTRIES,
        left_out=[*hindrances.notes(left_out), *hindrances.remedies(left_out)],
        left_out_words=words.left_out(len(left_out)),
        opens_failed=not compares and wrong <= _MOST_OPEN,
        style=part("vendor/uPlot.min.css") + part("assets/report.css"),
        scripts=scripts("assets/report.js"),
    )


def _section(run: Run, grace: float, timeline: Timeline | Lost, columns: int) -> Section:
    """Return the texts of a run, its packed picture, and its clients."""
    if isinstance(timeline, Lost):
        return Section(entry(run, grace, tuple(run.get("struck") or ())), timeline, clients(run, None, 0.0))
    picture = timeline_curves.picture(run, timeline, grace, columns)
    texts = entry(run, grace, [band.name for band in picture.bands])
    return Section(texts, timeline_curves.packed(picture), clients(run, timeline, picture.until))


def compared(entries: Sequence[Entry]) -> str:
    """The numbers of detectors and scenarios."""
    detectors = len({one.candidate for one in entries})
    scenarios = len({(one.run["suite"], one.run["scenario"]) for one in entries})
    return f"{detectors} detectors against {scenarios} scenarios"


def counts(entries: Sequence[Entry]) -> list[tuple[str, str, int, str]]:
    """Return each standing with its mark, the number of its runs and its words, the worst first, without zeros."""
    numbers = Counter(one.standing for one in entries)
    return [
        (standing, words.STANDINGS[standing].mark, numbers[standing], words.standing_words(standing, numbers[standing]))
        for standing in _URGENCY
        if numbers[standing]
    ]


def blocks(entries: Sequence[Entry]) -> list[Block]:
    """The comparison, a block for each suite, in the order of the runs."""
    return [_block(suite, entries) for suite in dict.fromkeys(str(one.run["suite"]) for one in entries)]


def _block(suite: str, entries: Sequence[Entry]) -> Block:
    cells: dict[tuple[str, str], tuple[str, Entry]] = {}
    for one in entries:
        if one.run["suite"] == suite:
            cells.setdefault((one.candidate, str(one.run["scenario"])), (words.cell(one.run), one))
    scenarios = tuple(dict.fromkeys(scenario for _, scenario in cells))
    candidates = dict.fromkeys(candidate for candidate, _ in cells)
    return Block(suite, scenarios, [(who, [cells.get((who, name)) for name in scenarios]) for who in candidates])
