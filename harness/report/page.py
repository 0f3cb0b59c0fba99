"""report.html: one self-contained file from results and timelines alone. Pure but for reading its own parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from halfopen.model.timeline import Timeline
from halfopen.report import glance, packing, timeline_curves
from halfopen.report.entries import STANDINGS, Entry, Run, entry, is_comparison, runs_of
from halfopen.report.parts import part, scripts, template
from halfopen.results import cells

#: Columns of pixels to draw curves for: a screen's, or fewer with many runs, which keeps the file small.
_FINE, _COARSE, _MANY = 1500, 400, 60
#: With more runs than this that went wrong, a page that opens them all would be no overview.
_MOST_OPEN = 12


@dataclass(frozen=True, slots=True)
class Lost:
    """A missing or unreadable timeline."""

    why: str
    """The end of a sentence: that it is missing, or cannot be read."""


@dataclass(frozen=True, slots=True)
class RunSection:
    """A run with its words and its curves."""

    run: Run
    entry: Entry
    data: str | Lost
    """The packed picture."""


def render(table: Mapping[str, Any], timeline_of: Callable[[Run], Timeline | Lost]) -> str:
    """Return the page for the content of results.json, compare.json or field.json; raises KeyError for other content.

    ``timeline_of`` returns the timeline of a run or its substitute. It is called once for each run, in order.
    """
    runs = runs_of(table)
    grace = float(table["grace_s"])
    columns = _FINE if len(runs) <= _MANY else _COARSE
    told = [_told(run, grace, timeline_of(run), columns) for run in runs]
    entries = [one.entry for one in told]
    compares = is_comparison(table)
    urgency = list(STANDINGS)
    wrong = sum(one.standing in {"failed", "inconclusive"} for one in entries)
    return template("report.html.j2").render(
        table=table,
        headline=glance.headline(table, glance.compared(entries) if "detectors" in table else ""),
        counts=glance.counts(entries),
        entries=entries,
        told=sorted(told, key=lambda one: urgency.index(one.entry.standing)),
        blocks=glance.blocks([(one.run, one.entry) for one in told]) if compares else [],
        summary=glance.summary(table),
        summary_heads=glance.SUMMARY_HEADS,
        legend=cells.LEGEND,
        opens_failed=not compares and wrong <= _MOST_OPEN,
        style=part("vendor/uPlot.min.css") + part("assets/report.css"),
        scripts=scripts("assets/report.js"),
    )


def _told(run: Run, grace: float, timeline: Timeline | Lost, columns: int) -> RunSection:
    if isinstance(timeline, Lost):
        return RunSection(run, entry(run, grace, tuple(run.get("struck") or ())), timeline)
    picture = timeline_curves.picture(run, timeline, grace, columns)
    return RunSection(run, entry(run, grace, [band.name for band in picture.bands]), packing.packed(picture))
