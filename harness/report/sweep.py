"""The report of a sweep: the recommended grace and the reason, interactive curves, and tables. Pure.

Made from the content of grace.json alone (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import markupsafe
import msgspec

from halfopen.grace.curves import names, of_table, title
from halfopen.grace.number_format import count, held, interval, percent
from halfopen.grace.rates import Rate
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


class TableRow(NamedTuple):
    """A line of a table, and True if it is the recommended one."""

    head: str
    cells: tuple[str, ...]
    chosen: bool = False


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
    label = next((str(one["label"]) for one in table["points"] if _is_chosen(one, table)), None)
    if label is None:
        raise ValueError("the recommended candidate ('recommended_grace_s' and so on) is not among 'points'")
    return label


def so_far(table: Mapping[str, Any]) -> str:
    """The number of sessions, and of those planned if some are missing."""
    draws = table["draws"]
    if draws["tried"] == draws["planned"]:
        return f"{draws['planned']:,} sessions"
    return f"{draws['tried']:,} of {draws['planned']:,} sessions so far"


def confirmed(table: Mapping[str, Any]) -> str:
    """The agreement of the replay with real runs; empty if nothing was replayed."""
    confirmed = table["confirmations"]
    if not confirmed["runs"]:
        return ""
    apart = confirmed["apart_max_s"]
    within = "" if apart is None else f", reaps at most {show_duration(apart)} apart"
    return f"{confirmed['agree']} of {confirmed['runs']} real runs agree with their replay{within}"


def curves(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the texts and tables for each detector and poll, or for a server, in their order.

    ``causes`` are false reaps by condition, ``deaths`` missed dead clients by kind, and ``outages`` those survived by
    round trip. Graces are across.
    """
    for key, points in of_table(table).items():
        yield {
            "title": title(*key),
            "rows": [TableRow(show_duration(one["grace_s"]), _cells(one), _is_chosen(one, table)) for one in points],
            "graces": [show_duration(one["grace_s"]) for one in points],
            "causes": list(_across(points, "causes", "cause", _killed)),
            "deaths": list(_across(points, "deaths", "cause", _missed)),
            "outages": list(_across(points, "outages", "rtt_s", _outage)),
        }


def _is_chosen(point: Point, table: Mapping[str, Any]) -> bool:
    keys = ("detector", "grace_s", "poll_s")
    return table["recommended_grace_s"] is not None and all(point[key] == table[f"recommended_{key}"] for key in keys)


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


def _killed(one: Point) -> str:
    return count(Rate(one["false_reaps"], one["alive_runs"]))


def _missed(one: Point) -> str:
    return count(Rate(one["missed"], one["dead_runs"]))


def limits(longest: float | None, lost: float | None, tried: float | None) -> str:
    """The longest outage that was always survived, and the shortest that was not: ``"13s, not 14s"``."""
    if tried is None:
        return ""
    if lost is None:
        return "" if longest is None else f"all to {show_duration(longest)}"
    return f"{'none' if longest is None else show_duration(longest)}, not {show_duration(lost)}"


def _outage(one: Point) -> str:
    return limits(one["survived_s"], one["lost_s"], one["longest_s"])


def _across(points: Sequence[Point], what: str, named: str, cell: Any) -> Iterator[TableRow]:
    """Yield a row for each condition, kind or round trip; graces across."""
    for name in dict.fromkeys(one[named] for point in points for one in point[what]):
        entries = [next((one for one in point[what] if one[named] == name), None) for point in points]
        head = name if isinstance(name, str) else f"round trip {show_duration(name)}"
        yield TableRow(head, tuple("" if one is None else cell(one) for one in entries))


def _data(table: Mapping[str, Any]) -> markupsafe.Markup:
    """The data for the page's script. No name in it can end its element."""
    by_candidate = of_table(table)
    called = names(by_candidate)
    drawn = {
        "curves": [
            {"name": called[key], "points": [{name: point[name] for name in _DRAWN} for point in points]}
            for key, points in by_candidate.items()
        ],
        "stalls": table["stalls"],
        "most": table["max_false_reaps"],
    }
    encoded = msgspec.json.encode(drawn, order="sorted").decode().replace("<", "\\u003c")
    return markupsafe.Markup(encoded)  # noqa: S704 (JSON without a single "<")
