"""The words on each run of a report, taken from results.json. Pure.

Any key of a run may be missing, as in results of older versions. The page then omits its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halfopen.netns.units import show_bytes, show_duration
from halfopen.report import timeline_curves
from halfopen.report.anchors import anchor

Run = Mapping[str, Any]

#: Verdicts in the order of their urgency, each with its mark and its words, as in the terminal.
STANDINGS: dict[str, tuple[str, str]] = {
    "failed": ("✗", "failed"),
    "inconclusive": ("?", "inconclusive"),
    "known": ("✗", "known failure"),
    "passed": ("✓", "passed"),
}
_MOMENTS = {
    "fault": "fault began",
    "onset": "stall since",
    "grace": "grace over",
    "deadline": "deadline",
    "reaped": "reaped",
    "closed": "closed",
}


@dataclass(frozen=True, slots=True)
class Hop:
    """A host, or the link between two: its label, and the faults that struck there."""

    is_link: bool
    text: str
    struck: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One run, in words."""

    label: str
    anchor: str
    standing: str
    mark: str
    word: str
    scenario: str
    suite: str
    candidate: str
    client: str
    session: str
    reason: str
    detected: str
    stuck: str
    why: str
    title: str
    story: str
    behaviour: str
    hops: tuple[Hop, ...]
    deeds: tuple[str, ...]
    kernel_saw: tuple[str, ...]
    expectation: str
    again: str
    moments: tuple[str, ...]
    searched: str
    """The text that a filter searches."""


def entry(run: Run, grace: float, faults: Sequence[str]) -> Entry:
    """Return the texts for a run of runs_of. ``faults`` are the names of its faults."""
    found = standing(run)
    mark, word = STANDINGS[found]
    label, reason = str(run["label"]), _reason(run)
    candidate = candidate_of(run)
    return Entry(
        label=label,
        anchor=anchor(label),
        standing=found,
        mark=mark,
        word=word,
        scenario=str(run["scenario"]),
        suite=str(run.get("suite") or ""),
        candidate=candidate,
        client=str(run.get("truth") or ""),
        session=str(run.get("outcome") or "none"),
        reason=reason,
        detected=_seconds(run.get("detection_s")),
        stuck=show_bytes(run["stuck_bytes"]) if run.get("stuck_bytes") else "",
        why=str(run.get("why") or ""),
        title=str(run.get("title") or ""),
        story=str(run.get("story") or ""),
        behaviour=str(run.get("client") or ""),
        hops=tuple(hops(run, faults)),
        deeds=_sentences(run.get("deeds")),
        kernel_saw=_sentences(run.get("kernel_saw")),
        expectation=str(run.get("expectation") or run.get("expected") or ""),
        again=str(run.get("again") or ""),
        moments=tuple(
            f"{_MOMENTS[one.kind]} at {show_duration(one.at)}" for one in timeline_curves.moments(run, grace)
        ),
        searched=" ".join([label, word, str(run.get("outcome") or "none"), reason, *faults]).lower(),
    )


def standing(run: Run) -> str:
    """The verdict, or ``known``."""
    return "known" if run.get("known") else str(run["verdict"])


def runs_of(table: Mapping[str, Any]) -> list[Run]:
    """The runs of results.json, compare.json or field.json, each with a label that is unique in its call."""
    return [run if run.get("label") else {**run, "label": _label(run, is_comparison(table))} for run in table["runs"]]


def is_comparison(table: Mapping[str, Any]) -> bool:
    """True if the same scenarios were run with several detectors or servers."""
    return "detectors" in table or "targets" in table


def _label(run: Run, among_others: bool) -> str:
    again = f"-{run['repeat']}" if run.get("repeat", 1) != 1 else ""
    candidate = f"{candidate_of(run)}/" if among_others else ""
    return f"{candidate}{run['scenario']}{again}"


def candidate_of(run: Run) -> str:
    """The detector or the server that is compared with others, if the run names it."""
    target = run.get("target")
    return str((target if isinstance(target, str) else run.get("detector")) or "")


def hops(run: Run, faults: Sequence[str]) -> list[Hop]:
    """The path from the client to the server, with the place of each fault."""
    way = [_hop(one) for one in run.get("topology") or ({"host": "client"}, {"link": ""}, {"host": "server"})]
    for fault in dict.fromkeys(faults):
        place = _place((run.get("struck") or {}).get(fault, "client"), way)
        hop = way[place]
        way[place] = Hop(hop.is_link, hop.text, (*hop.struck, fault))
    return way


def _hop(one: Mapping[str, Any]) -> Hop:
    if "host" in one:
        return Hop(False, str(one["host"]))
    text = str(one.get("link") or "")
    return Hop(True, "" if text == "unimpaired" else text)


def _place(where: str, way: Sequence[Hop]) -> int:
    """Return the hop's index: the client's host, its link, or the server."""
    if where == "server":
        return len(way) - 1
    return next((place for place, hop in enumerate(way) if hop.is_link), 0) if where == "link" else 0


def _reason(run: Run) -> str:
    return str(run["reason"]) if run.get("reason") and run.get("outcome") != "kept" else ""


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}s"


def _sentences(told: object) -> tuple[str, ...]:
    """Return one sentence or several as a tuple."""
    if not told:
        return ()
    return (told,) if isinstance(told, str) else tuple(map(str, told)) if isinstance(told, Sequence) else (str(told),)
