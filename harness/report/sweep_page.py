"""The report of a sweep: the recommended grace and the reason, interactive curves, and tables. Pure.

Made from the content of grace.json alone (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import markupsafe
import msgspec

from halfopen.grace.estimates import CurveKey, curve_title
from halfopen.grace.rates import Rate, count, held, interval, percent
from halfopen.netns.units import show_duration
from halfopen.report.parts import part, scripts, template
from halfopen.results import words
from halfopen.results.words import seconds

Point = Mapping[str, Any]

HEADS = (
    *("grace", "false reaps", "rate", "95 %", "outage survived", "p50", "p99", "max", "out of bounds"),
    *("from the fault", "missed", "seat held", "unproved"),
)
_DRAWN = ("grace_s", "false_reaps", "false_reap_rate", "ci95", "detection_s", "detections_s", "outages")


def render(table: Mapping[str, Any]) -> str:
    """Return the page; raises KeyError or ValueError if it is not the content of grace.json."""
    return template("sweep.html.j2").render(
        headline=headline(table),
        recommended=recommended(table),
        why=table["recommended_why"],
        confirmed=confirmed(table),
        disagreements=table["confirmations"]["disagreements"],
        so_far=so_far(table),
        curves=list(curves(table)),
        heads=HEADS,
        has_outages=any(trip["outage_s"] for trip in table["stalls"]),
        data=_data(table),
        style=part("vendor/uPlot.min.css") + part("assets/report.css") + part("assets/sweep.css"),
        scripts=scripts("assets/sweep.js"),
    )


def headline(table: Mapping[str, Any]) -> str:
    """The target and the conditions."""
    argument = f" {table['grace_argument']}" if table["grace_argument"] else ""
    return (
        f"halfopen {table['halfopen']} grace: {words.target(table)}{argument}, mix {table['mix']}; "
        f"{words.conditions(table)}"
    )


def recommended(table: Mapping[str, Any]) -> str:
    """The recommended candidate; empty for none. Raises ValueError if it was not tried."""
    if table["recommended_grace_s"] is None:
        return ""
    label = next((str(point["label"]) for point in table["points"] if _is_chosen(point, table)), None)
    if label is None:
        raise ValueError("the recommended candidate ('recommended_grace_s' and so on) is not among 'points'")
    return label


def so_far(table: Mapping[str, Any]) -> str:
    """The number of sessions, and of those planned if some are missing."""
    tried, planned = table["draws"]["tried"], table["draws"]["planned"]
    return f"{planned:,} sessions" if tried == planned else f"{tried:,} of {planned:,} sessions so far"


def confirmed(table: Mapping[str, Any]) -> str:
    """The agreement of the replay with real runs; empty if nothing was replayed."""
    counts = table["confirmations"]
    if not counts["runs"]:
        return ""
    apart = "" if counts["apart_max_s"] is None else f", reaps at most {show_duration(counts['apart_max_s'])} apart"
    return f"{counts['agree']} of {counts['runs']} real runs agree with their replay{apart}"


def curves(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the title and the tables of each detector and poll, or server, in their order. Graces are across."""
    for key, points in _grouped(table).items():
        yield {
            "title": curve_title(*key),
            "rows": [(show_duration(point["grace_s"]), _cells(point), _is_chosen(point, table)) for point in points],
            "graces": [show_duration(point["grace_s"]) for point in points],
            "causes": _across(points, "causes", "cause", _killed),
            "deaths": _across(points, "deaths", "cause", _missed),
            "outages": _across(points, "outages", "rtt_s", _limits),
        }


def _grouped(table: Mapping[str, Any]) -> dict[CurveKey, list[Point]]:
    """Return the points of each detector and poll. They are in the order of graces."""
    groups: dict[CurveKey, list[Point]] = {}
    for point in table["points"]:
        groups.setdefault((point["detector"], point["poll_s"]), []).append(point)
    return groups


def _is_chosen(point: Point, table: Mapping[str, Any]) -> bool:
    chosen = [table[f"recommended_{key}"] for key in ("grace_s", "poll_s", "detector")]
    return chosen == [point["grace_s"], point["poll_s"], point["detector"]]


def _cells(point: Point) -> tuple[str, ...]:
    """The cells below HEADS, without the first."""
    took, bounds, seat = point["detection_s"], point["ci95"], point["seat_s"]
    return (
        _killed(point),
        "" if bounds is None else percent(point["false_reap_rate"]),
        "" if bounds is None else interval(*bounds),
        limits(point["survived_outage_s"], point["lost_outage_s"], point["longest_outage_s"]),
        *(seconds(took[name]) for name in ("p50", "p99", "max")),
        str(took["outside"]) if took["runs"] else "",
        seconds(point["after_fault_s"]["p50"]),
        _missed(point),
        "" if seat is None else held(seat, at_least=point["seat_s_at_least"]),
        str(point["unproved"] or ""),
    )


def _killed(point: Point) -> str:
    return count(Rate(point["false_reaps"], point["alive_runs"]))


def _missed(point: Point) -> str:
    return count(Rate(point["missed"], point["dead_runs"]))


def _limits(trip: Point) -> str:
    return limits(trip["survived_s"], trip["lost_s"], trip["longest_s"])


def limits(longest: float | None, lost: float | None, tried: float | None) -> str:
    """The longest outage that was always survived, and the shortest that was not: ``"13s, not 14s"``."""
    if tried is None or (longest is None and lost is None):
        return ""
    survived = "none" if longest is None else show_duration(longest)
    return f"all to {survived}" if lost is None else f"{survived}, not {show_duration(lost)}"


def _across(points: Sequence[Point], key: str, name: str, cell: Callable[[Point], str]) -> list[tuple[str, list[str]]]:
    """Return the head and the cells of a row for each condition, kind or round trip; graces across."""
    groups = [{row[name]: cell(row) for row in point[key]} for point in points]
    names = dict.fromkeys(name for group in groups for name in group)
    heads = [name if isinstance(name, str) else f"round trip {show_duration(name)}" for name in names]
    return [(head, [group.get(name, "") for group in groups]) for head, name in zip(heads, names, strict=True)]


def _data(table: Mapping[str, Any]) -> markupsafe.Markup:
    """The data for the page's script. No name in it can end its element."""
    groups = _grouped(table)
    polls = {poll for _, poll in groups}
    drawn = {
        "curves": [
            {
                # The poll only if there are several.
                "name": curve_title(detector, poll) if detector is None or len(polls) > 1 else detector,
                "points": [{name: point[name] for name in _DRAWN} for point in points],
            }
            for (detector, poll), points in groups.items()
        ],
        "stalls": table["stalls"],
        "mix": table["mix"],
        "most": table["max_false_reaps"],
    }
    encoded = msgspec.json.encode(drawn, order="sorted").decode().replace("<", "\\u003c")
    return markupsafe.Markup(encoded)  # noqa: S704 (JSON without a single "<")
