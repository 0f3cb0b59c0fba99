"""Figures: their contents, read from the figures themselves."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from halfopen.grace import drawing
from halfopen.report.parts import part
from tests.harness.grace.test_plots import table


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_frontier_has_each_grace_with_its_interval() -> None:
    figure = Figure()
    drawing.frontier(figure, table("bytes-acked"))
    (axes,) = figure.axes
    assert {"5s", "30s", "bytes-acked", "0.1 % is allowed"} <= set(texts(figure))
    (intervals,) = axes.collections
    ends: Any = intervals.get_paths()
    short = table("bytes-acked")["points"][0]
    assert ends[0].vertices[0][0] == pytest.approx(short["detection_s"]["p50"])
    assert [point[1] for point in ends[0].vertices] == pytest.approx(short["ci95"])


def test_the_outages_have_the_stall_and_the_lanes_of_each_round_trip() -> None:
    figure = Figure()
    drawing.outages(figure, table("bytes-acked"))
    assert len(figure.axes) == 6
    assert [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes[:3]] == [
        "round trip 20ms",
        "round trip 100ms",
        "round trip 300ms",
    ]
    assert {label.get_text() for label in figure.axes[3].get_yticklabels()} == {"5s", "30s"}


def test_curves_are_told_apart_by_poll_where_there_are_several() -> None:
    given = table("bytes-acked", polls=(1.0, 5.0))
    named = ["bytes-acked, poll 1s", "bytes-acked, poll 5s"]
    assert list(drawing.curves(given)) == named
    for draw in (drawing.frontier, drawing.latency):
        figure = Figure()
        draw(figure, given)
        assert set(named) <= set(texts(figure))


@pytest.mark.parametrize(("poll", "name"), [(None, "bytes-acked, poll 1s"), (5.0, "bytes-acked, poll 5s")])
def test_the_outages_are_those_of_what_is_recommended_or_else_of_the_first(poll: float | None, name: str) -> None:
    figure = Figure()
    chosen = {"recommended_detector": poll and "bytes-acked", "recommended_poll_s": poll}
    drawing.outages(figure, table("bytes-acked", polls=(1.0, 5.0)) | chosen)
    assert f"Which outages {name} takes for a death" in [text.get_text() for text in figure.texts]


def test_each_grace_has_its_distribution_in_both_panels() -> None:
    figure = Figure()
    drawing.latency(figure, table("bytes-acked", "outq"))
    whole, beyond = figure.axes
    assert len(whole.lines) == 4
    assert len(beyond.lines) == 4 + 1


def test_a_distribution_ends_with_all_that_were_reaped_however_many_at_once() -> None:
    figure = Figure()
    given = table("bytes-acked")
    given = given | {"points": [{**given["points"][0], "detections_s": [5.5, 6.001, 6.999, 7.0, 7.0]}]}
    drawing.latency(figure, given)
    for axes, begun in zip(figure.axes, (0, given["points"][0]["grace_s"]), strict=True):
        line: Any = axes.lines[0]
        assert line.get_xdata() == pytest.approx([5.5 - begun, 5.5 - begun, 6 - begun, 7 - begun])
        assert line.get_ydata() == pytest.approx([0, 0.2, 0.4, 1])


def test_a_lane_has_corners_only_where_the_share_that_is_lost_changes() -> None:
    figure = Figure()
    drawing.outages(figure, table("bytes-acked"))
    lane = figure.axes[3].collections[0]
    path: Any = lane.get_paths()[0]
    trip: Any = table("bytes-acked")["points"][0]["outages"][0]
    lost = [reaped / (reaped + kept) for reaped, kept in zip(trip["reaped"], trip["kept"], strict=True)]
    changes = sum(one != other for one, other in itertools.pairwise(lost))
    assert changes
    assert len({tuple(corner) for corner in path.vertices}) <= 4 * (changes + 1) < 4 * len(lost)


#: Draws an empty plot in its own process, and prints if a window system was imported.
_APART = """
import sys
from pathlib import Path
from halfopen.grace import drawing
drawing.write([drawing.Plot("nothing", lambda figure, table: None, (1, 1), bool, "")], {}, Path(sys.argv[1]))
print("matplotlib.pyplot" in sys.modules)
"""


def test_no_window_system_is_looked_for(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _APART, str(tmp_path / "plot.svg")], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"


def test_a_curve_has_the_hue_in_the_plots_that_it_has_in_the_report() -> None:
    script, style = part("assets/sweep.js"), part("assets/report.css") + part("assets/sweep.css")
    (listed,) = re.findall(r"const COLOURS = \[(.*?)\]", script)
    light = dict(re.findall(r"--(\w+): (#\w{6})", style)[::-1])  # the first of each is for a light background
    in_report = [light[name] for name in re.findall(r"\w+", listed)]
    assert len(in_report) == len(drawing.COLOURS)
    for one, other in zip(in_report, drawing.COLOURS, strict=True):
        apart = abs(hue(one) - hue(other))
        assert min(apart, 1 - apart) < 20 / 360, (one, other)


def hue(colour: str) -> float:
    return float(rgb_to_hsv(to_rgb(colour))[0])
