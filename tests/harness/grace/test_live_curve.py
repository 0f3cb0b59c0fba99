"""A curve that tightens while sessions run."""

from __future__ import annotations

import re

import pytest

from halfopen.grace import live_curve
from halfopen.grace.estimates import estimate
from halfopen.grace.recommendation import MOST_FALSE_REAPS
from tests import screens
from tests.harness.grace import made

SWEEP = made.sweep(made.candidates("bytes-acked"), runs=400, staircase=False)
OUTCOMES = made.outcomes(SWEEP)
BATCHES = [[one for one in OUTCOMES if one.draw // 20 == nth] for nth in range(23)]


def test_without_a_terminal_it_is_a_line_for_each_tenth() -> None:
    console, written = screens.console(80, colour=False)
    with live_curve.progress(console, SWEEP) as on_tried:
        for batch in BATCHES:
            on_tried(batch)
    lines = written.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "460 of 460 sessions; nothing recommended yet"


def test_what_was_known_before_is_not_told_again() -> None:
    console, written = screens.console(80, colour=False)
    before = [one for batch in BATCHES[:12] for one in batch]
    with live_curve.progress(console, SWEEP, before=before) as on_tried:
        for batch in BATCHES[12:]:
            on_tried(batch)
    assert written.getvalue().splitlines()[0].startswith("280 of 460 sessions")


def test_on_a_terminal_nothing_of_it_stays() -> None:
    console, written = screens.console(80, colour=True)
    with live_curve.progress(console, SWEEP) as on_tried:
        on_tried(BATCHES[0])
    assert "20 of 460 sessions" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    assert written.getvalue().rstrip().endswith("\x1b[2K")


@pytest.mark.parametrize("width", screens.WIDTHS)
@pytest.mark.parametrize("detectors", [["bytes-acked"], ["bytes-acked", "outq", "ack-stall", "none"]])
def test_it_fits_the_terminal(detectors: list[str], width: int) -> None:
    console, written = screens.console(width, colour=False)
    sweep = made.sweep(made.candidates(*detectors), runs=40, staircase=False)
    for part in live_curve.picture(estimate(sweep, made.outcomes(sweep)), MOST_FALSE_REAPS, console):
        console.print(part)
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in written.getvalue()
