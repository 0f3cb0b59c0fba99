"""The texts of each run in a report, from its entry in results.json. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from halfopen.netns.units import show_duration
from halfopen.report import timeline_curves
from halfopen.results import words
from halfopen.results.words import Run, RunRow, Standing

#: Keys that results of older versions may lack. The page then omits their texts.
_OPTIONAL = dict.fromkeys(
    (
        "suite",
        "title",
        "story",
        "client",
        "deeds",
        "kernel_saw",
        "cost",
        "why",
        "fix",
        "again",
        "about",
        "ended",
        "cause",
        "held_by",
        "threads",
        "server_said",
        "proxy_said",
    ),
    "",
)


class Hop(NamedTuple):
    """A host, or the link between two: its label, and the faults that struck there."""

    is_link: bool
    text: str
    struck: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of runs_of, and the texts that are not in its results as they are shown."""

    run: Run
    label: str
    anchor: str
    standing: str
    shown: Standing
    candidate: str
    row: RunRow
    hops: tuple[Hop, ...]
    company: tuple[tuple[Hop, ...], ...]
    """The paths of the other clients, alike ones together."""
    moments: tuple[str, ...]
    quotes: tuple[tuple[str, Sequence[str]], ...]
    """Output of programs, and stacks, each with a head."""
    searched: str
    """The text that a filter searches."""


def entry(run: Run, grace: float, faults: Sequence[str]) -> Entry:
    """Return the texts for a run of runs_of. ``faults`` are the names of its faults."""
    standing = "known" if run.get("known") else str(run["verdict"])
    label, row, shown = str(run["label"]), words.row(run), words.STANDINGS[standing]
    return Entry(
        run=run,
        label=label,
        anchor=words.anchor(label),
        standing=standing,
        shown=shown,
        candidate=candidate_of(run),
        row=row,
        hops=tuple(hops(run, faults)),
        company=tuple(tuple(hops(others, list(others["struck"]))) for others in run.get("company", ())),
        moments=tuple(f"{mark.kind} at {show_duration(mark.at)}" for mark in timeline_curves.moments(run, grace)),
        quotes=(
            ("threads of the holder", run["threads"]),
            ("server said", run["server_said"]),
            *((f"{proxy} said", lines) for proxy, lines in dict(run["proxy_said"] or {}).items()),
        ),
        searched=" ".join([label, shown.words, row.session, row.reason, *faults]).lower(),
    )


def runs_of(table: Mapping[str, Any]) -> list[Run]:
    """The runs of results.json, compare.json or field.json, each with a label that is unique in its call."""
    compared = is_comparison(table)
    return [
        {**_OPTIONAL, "expectation": run.get("expected", ""), **run, "label": run.get("label") or _label(run, compared)}
        for run in table["runs"]
    ]


def is_comparison(table: Mapping[str, Any]) -> bool:
    """True if the same scenarios were run with several detectors or servers."""
    return "detectors" in table or "targets" in table


def _label(run: Run, compared: bool) -> str:
    again = f"-{run['repeat']}" if run.get("repeat", 1) != 1 else ""
    candidate = f"{candidate_of(run)}/" if compared else ""
    return f"{candidate}{run['scenario']}{again}"


def candidate_of(run: Run) -> str:
    """The detector or the server that is compared with others, if the run names it."""
    target = run.get("target")
    return str((target if isinstance(target, str) else run.get("detector")) or "")


def hops(run: Run, faults: Sequence[str]) -> list[Hop]:
    """The path from the client to the server, with the place of each fault."""
    path = [_hop(hop) for hop in run.get("topology") or ({"host": "client"}, {"link": ""}, {"host": "server"})]
    for fault in dict.fromkeys(faults):
        place = _place((run.get("struck") or {}).get(fault, "client"), path)
        path[place] = path[place]._replace(struck=(*path[place].struck, fault))
    return path


def _hop(hop: Mapping[str, Any]) -> Hop:
    if "host" in hop:
        return Hop(False, str(hop["host"]))
    return Hop(True, "" if hop.get("link") == "unimpaired" else str(hop.get("link") or ""))


def _place(struck: str, path: Sequence[Hop]) -> int:
    """Return the hop's index: the client's host, its link, or the server."""
    if struck == "server":
        return len(path) - 1
    return next((place for place, hop in enumerate(path) if hop.is_link), 0) if struck == "link" else 0
