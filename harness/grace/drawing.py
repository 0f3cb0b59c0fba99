"""The plots of a sweep by matplotlib: their content and their labels.

Colours are Okabe and Ito's, which colour-blind readers can tell apart (Color Universal Design, 2008). A curve has the
same colour as in the report, which uses deeper ones for text. Each line is also labelled in place.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, MaxNLocator

from halfopen.grace.curves import names, of_table
from halfopen.netns.units import show_duration

Table = Mapping[str, Any]
#: Blue, red, green, pink, orange, and a violet in place of their sky blue, which is close to the first.
#: The same as in assets/sweep.js.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7A3AB8")
_LOST, _DIM, _RULE = "#D55E00", "#555555", "#CCCCCC"
#: Ignore the user's matplotlib settings, so that plots are the same on every machine.
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "halfopen",
    "svg.fonttype": "none",
    "savefig.dpi": 144,
}
#: Offsets of the grace labels of the quickest curve, left of all others, and of the slowest.
_LEFT, _RIGHT = (-19, -11), (5, 5)
_ATTRIBUTE, _LONG, _INDENT = re.compile(r'(?<==)"[^"]*"'), re.compile(r"-?\d+\.\d{3,}"), re.compile(r"(?m)^ +")
#: Background of labels that a curve may cross.
_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
#: Resolution of plotted latencies in seconds: less than a hundredth of a plot's width.
_FINE = 0.05


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot that can be drawn."""

    name: str
    draw: Callable[[FigureBase, Table], None]
    size: tuple[float, float]
    """Inches."""
    has: Callable[[Table], bool]
    """True if there is anything to draw."""
    missing: str
    """The message if there is not."""


def write(plots: Sequence[Plot], table: Table, file: Path) -> None:
    """Write plots into one file, one below the other. Each must have something to draw. Raises OSError."""
    with mpl.rc_context(_rc()):
        heights = [plot.size[1] for plot in plots]
        figure = Figure(figsize=(max(plot.size[0] for plot in plots), sum(heights)), layout="constrained")
        parts: Any = figure.subfigures(len(plots), 1, height_ratios=heights, squeeze=False)
        for plot, (part,) in zip(plots, parts, strict=True):
            plot.draw(part, table)
        _save(figure, file)


def _rc() -> Any:
    """Settings without the backend. Reading that one makes matplotlib try a window system, and files need none."""
    return {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"} | _STYLE


def _save(figure: Figure, file: Path) -> None:
    """Save without date and program name, so that the same table gives the same bytes."""
    if file.suffix != ".svg":
        figure.savefig(file, metadata={"Software": None}, facecolor="white")
        return
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    file.write_text(_ATTRIBUTE.sub(_rounded, _INDENT.sub("", written.getvalue())), encoding="utf-8")


def _rounded(attribute: re.Match[str]) -> str:
    """Round coordinates to a hundredth of a point: matplotlib's six decimals would be a quarter of the file."""
    return _LONG.sub(lambda number: f"{float(number[0]):.2f}", attribute[0])


# ---- the frontier ---------------------------------------------------------------------------------------------------


def frontier(figure: FigureBase, table: Table) -> None:
    """Plot false reaps against detection time: a curve for each detector, a point with its interval for each grace."""
    axes = figure.subplots()
    axes.set(title="False reaps against detection", xlabel="seconds from onset to reap, median", ylabel="false reaps")
    floor = _floor(table)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:g} %"))
    found = {name: _placed(curve) for name, curve in curves(table).items()}
    medians = {name: sum(point["detection_s"]["p50"] for point in its) / len(its) for name, its in found.items() if its}
    order = sorted(medians, key=lambda name: medians[name])
    beside = (
        dict(zip(order[:1] + order[-1:], (_LEFT, _RIGHT), strict=False)) if order[1:] else dict.fromkeys(order, _RIGHT)
    )
    for nth, (name, curve) in enumerate(found.items()):
        colour = COLOURS[nth % len(COLOURS)]
        _curve(axes, curve, colour, floor, beside.get(name))
        _name(axes, name, colour, (1, 1), -12 - 13 * nth)
    axes.set_ylim(floor / 1.6, 1.3)
    most = float(table["max_false_reaps"])
    axes.axhline(most, color=_DIM, linewidth=0.8, linestyle=":")
    for text, share in ((f"{most * 100:g} % is allowed", most), ("none seen", floor)):
        axes.annotate(text, (0, share), xycoords=("axes fraction", "data"), xytext=(4, 2),
                      textcoords="offset points", va="bottom", color=_DIM, fontsize=8)  # fmt: skip


def curves(table: Table) -> dict[str, tuple[Table, ...]]:
    """Return the points of each curve by its name, in the report's order, which determines colours."""
    found = of_table(table)
    called = names(found)
    return {called[key]: points for key, points in found.items()}


def _placed(curve: Sequence[Table]) -> list[Table]:
    """Return the points that can be placed: those with live clients and with reaped dead ones."""
    return [point for point in curve if point["ci95"] and point["detection_s"]["p50"] is not None]


def _floor(table: Table) -> float:
    """Position of a rate of zero on a logarithmic axis: below all other rates."""
    seen = [point["false_reap_rate"] for point in table["points"] if point["false_reaps"]]
    bounds = [point["ci95"][1] for point in table["points"] if point["ci95"]]
    lows = [point["ci95"][0] for point in table["points"] if point["ci95"] and point["false_reaps"]]
    return float(min([*seen, *lows, *bounds, table["max_false_reaps"]])) / 3


def _curve(axes: Axes, curve: Sequence[Table], colour: str, floor: float, beside: tuple[int, int] | None) -> None:
    """Draw one detector's points and intervals. ``beside`` is the offset of the grace labels; None draws none."""
    at = [point["detection_s"]["p50"] for point in curve]
    rates = [max(point["false_reap_rate"], floor) for point in curve]
    axes.plot(at, rates, color=colour, linewidth=1, zorder=1)
    lows, highs = ([max(point["ci95"][end], floor) for point in curve] for end in (0, 1))
    axes.vlines(at, lows, highs, color=colour, linewidth=1.6, alpha=0.65)
    for x, rate, point in zip(at, rates, curve, strict=True):
        filled = colour if point["false_reaps"] else "white"
        axes.plot([x], [rate], "o", color=colour, markersize=5.5, markerfacecolor=filled)
        if beside is not None:
            grace = show_duration(point["grace_s"])
            axes.annotate(grace, (x, rate), xytext=beside, textcoords="offset points", color=colour, fontsize=8)


def _name(axes: Axes, name: str, colour: str, corner: tuple[int, int], up: int) -> None:
    """Write a curve's name in its colour, in a corner that few curves reach."""
    axes.annotate(name, corner, xycoords="axes fraction", xytext=(-4, up), textcoords="offset points",
                  ha="right", color=colour, weight="bold", bbox=_PAPER)  # fmt: skip


# ---- outages --------------------------------------------------------------------------------------------------------


def outages(figure: FigureBase, table: Table) -> None:
    """Plot the stalls that outages cause at each round trip, and below them the outages that each grace reaps."""
    trips = _trips(table)
    name, points = _main(table)
    rows: Any = figure.subplots(2, len(trips), sharex=True, squeeze=False, height_ratios=[1, 1.1])
    for column, trip in enumerate(trips):
        _stalls(rows[0][column], trip, points, table)
        _lanes(rows[1][column], trip, points)
        rows[1][column].set_xlabel("seconds of outage")
    rows[0][0].set_ylabel("seconds of stall")
    rows[1][0].set_ylabel("grace")
    rows[1][0].set_title("share lost, and the longest always survived", fontsize=8, color=_DIM)
    rows[0][0].annotate("gray: each grace,\nand a stall as long\nas the outage", (0.03, 0.97), xycoords="axes fraction",
                        va="top", color=_DIM, fontsize=7)  # fmt: skip
    figure.suptitle(f"Which outages {name} takes for a death", x=0.01, ha="left", fontsize=10)


def _main(table: Table) -> tuple[str, tuple[Table, ...]]:
    """Return the name and points of the recommended curve, or else of the first."""
    found = curves(table)
    wanted = names(of_table(table)).get((table["recommended_detector"], table["recommended_poll_s"]))
    name = wanted or next(iter(found))
    return name, found[name]


def _trips(table: Table) -> list[float]:
    return [trip["rtt_s"] for trip in table["stalls"] if trip["outage_s"]]


def _stalls(axes: Axes, trip: float, points: Sequence[Table], table: Table) -> None:
    stall = next(one for one in table["stalls"] if one["rtt_s"] == trip)
    axes.set_title(f"round trip {show_duration(trip)}")
    axes.fill_between(stall["outage_s"], stall["least_s"], stall["most_s"], color=COLOURS[0], alpha=0.3, linewidth=0)
    axes.plot(stall["outage_s"], stall["most_s"], color=COLOURS[0], linewidth=1)
    axes.plot(stall["outage_s"], stall["outage_s"], color=_RULE, linewidth=1, zorder=0)
    top = max(stall["most_s"])
    _rules(axes, [point["grace_s"] for point in points if point["grace_s"] < top])
    axes.set_ylim(0, top * 1.05)
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _lanes(axes: Axes, trip: float, points: Sequence[Table]) -> None:
    """Draw a lane for each grace, filled to the share of phases at which an outage of that length was fatal."""
    for lane, point in enumerate(points):
        its = next((one for one in point["outages"] if one["rtt_s"] == trip), None)
        if its is None:
            continue
        known = [nth for nth in range(len(its["outage_s"])) if its["kept"][nth] + its["reaped"][nth]]
        lengths = [its["outage_s"][nth] for nth in known]
        lost = [its["reaped"][nth] / (its["kept"][nth] + its["reaped"][nth]) for nth in known]
        ends = _ends(lost)
        axes.fill_between([lengths[nth] for nth in ends], [lane + 0.85 * lost[nth] for nth in ends], lane,
                          step="mid", color=_LOST, linewidth=0)  # fmt: skip
        if its["survived_s"] is not None and its["lost_s"] is not None:  # at the end, where a lane has no gaps
            axes.annotate(show_duration(its["survived_s"]), (its["longest_s"], lane), xytext=(-3, 3),
                          textcoords="offset points", ha="right", color="white", fontsize=7)  # fmt: skip
    _rules(axes, range(len(points)))
    axes.set_yticks([lane + 0.4 for lane in range(len(points))], [show_duration(point["grace_s"]) for point in points])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)


def _rules(axes: Axes, levels: Sequence[float]) -> None:
    axes.hlines(levels, 0, 1, transform=axes.get_yaxis_transform(), color=_RULE, linewidth=0.6, zorder=0)


def _ends(values: Sequence[float]) -> list[int]:
    """Return the indices at which a run of equal values begins or ends: the corners of the drawing."""
    last = len(values) - 1
    return [nth for nth in range(last + 1) if nth in {0, last} or len(set(values[nth - 1 : nth + 2])) > 1]


# ---- latency --------------------------------------------------------------------------------------------------------


def latency(figure: FigureBase, table: Table) -> None:
    """Plot the share of dead clients reaped against the seconds since the onset, and since the end of the grace."""
    parts: Any = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    whole, beyond = parts
    whole.set(
        title="Detection latency", xlabel="seconds from onset to reap", ylabel="dead clients reaped", ylim=(0, 1.1)
    )
    whole.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:.0f} %"))
    beyond.set(xlabel="seconds after the grace")
    for nth, (name, curve) in enumerate(curves(table).items()):
        colour = COLOURS[nth % len(COLOURS)]
        _name(beyond, name, colour, (1, 0), 5 + 13 * nth)
        for point in curve:
            if not point["detections_s"]:
                continue
            took = sorted(Counter(round(one / _FINE) * _FINE for one in point["detections_s"]).items())
            times, counts = [at for at, _ in took], [count for _, count in took]
            whole.ecdf(times, counts, color=colour, linewidth=1.2)
            beyond.ecdf([at - point["grace_s"] for at in times], counts, color=colour, linewidth=0.8)
            if nth == 0:
                whole.annotate(show_duration(point["grace_s"]), (point["detections_s"][-1], 1), xytext=(0, 3),
                               textcoords="offset points", ha="center", color=_DIM, fontsize=8)  # fmt: skip
    for poll in sorted({point["poll_s"] for point in table["points"] if point["detector"]}):
        beyond.axvline(poll, color=_DIM, linewidth=0.8, linestyle=":")
        beyond.annotate(f"poll {show_duration(poll)}", (poll, 1.1), xytext=(3, -2), textcoords="offset points",
                        va="top", color=_DIM, fontsize=8)  # fmt: skip
    whole.set_xlim(left=0)


#: In reading order.
PLOTS = (
    Plot("frontier", frontier, (8.0, 4.6), lambda table: any(map(_placed, curves(table).values())),
         "no grace has both live clients and dead ones that were reaped"),
    Plot("outages", outages, (9.5, 6.2), lambda table: bool(_trips(table)), "no outage of the staircase was tried"),
    Plot("latency", latency, (8.0, 3.6), lambda table: any(point["detections_s"] for point in table["points"]),
         "no dead client was reaped"),
)  # fmt: skip
