"""Whole outputs of a sweep at the supported widths, with and without colour."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import pytest

from halfopen.grace import tables
from halfopen.grace.estimates import Estimates, estimate
from halfopen.grace.outages import Survival
from halfopen.grace.sweep import Candidate, Sweep, Trial
from tests import screens
from tests.harness.grace import made

SCREENS = Path(__file__).with_name("screens")


@functools.cache
def one() -> Estimates:
    return made.estimates("bytes-acked", runs=4000)


@functools.cache
def several() -> Estimates:
    """Three detectors on the same draws. The last misses every wedged client, and all have too few results."""
    sweep = made.sweep(made.candidates("bytes-acked", "outq", "ping-timeout"), runs=400, staircase=False)
    causes = {draw.number: draw.cause for draw in sweep.draws}
    outcomes = [_unnoticed(tried) if causes[tried.draw] == "wedged" else tried for tried in made.outcomes(sweep)]
    return estimate(sweep, outcomes)


def _unnoticed(tried: Trial) -> Trial:
    missed = tried.candidate >= 2 * len(made.GRACES)
    return msgspec.structs.replace(tried, outcome="kept", reaped_at=None) if missed else tried


@functools.cache
def stopped() -> Estimates:
    """A sweep stopped half way. Some runs prove nothing, and a real run differs from its replay."""
    sweep = made.sweep(made.candidates("bytes-acked", graces=(10.0, 30.0)), runs=40, dead=6)
    outcomes = [tried for tried in made.outcomes(sweep) if tried.draw < 60 and (tried.draw, tried.candidate) != (44, 1)]
    outcomes[0] = msgspec.structs.replace(outcomes[0], outcome="unproved")
    wrong = made.tried(5, 1, "reaped", reaped_at=36.0, real=True, predicted=True)
    right = made.tried(44, 1, "reaped", reaped_at=36.0, real=True, predicted=True, predicted_at=36.01)
    return estimate(sweep, [*outcomes, wrong, right])


@screens.every_way
@pytest.mark.parametrize("name", ["one", "several", "stopped"])
def test_all_that_is_printed(name: str, width: int, colour: bool) -> None:
    found = {"one": one, "several": several, "stopped": stopped}[name]()
    console, written = screens.console(width, colour=colour)
    tables.show(console, found)
    screens.compare(SCREENS, f"grace-{name}", width, written.getvalue(), colour=colour)


@pytest.mark.parametrize("width", screens.WIDTHS)
def test_no_table_is_wider_than_the_terminal(width: int) -> None:
    for found in (one(), several(), stopped()):
        console, written = screens.console(width, colour=False)
        tables.show(console, found)
        words = tables.legend(found.points, 0.001, wide=width >= tables.WIDE)
        shown, first, _ = written.getvalue().partition(words[0])
        assert first
        assert max(map(len, (*shown.splitlines(), *words))) <= width
        assert "…" not in shown


def test_a_server_with_its_own_knob_has_a_curve_without_a_poll() -> None:
    sweep = Sweep(7, (), (Candidate(30.0, 2.0),))
    console, written = screens.console(80, colour=False)
    tables.show(console, estimate(sweep, []))
    assert "the server's own detector\n" in written.getvalue()
    assert "poll" not in written.getvalue().replace("grace + poll", "")


@pytest.mark.parametrize(
    ("survival", "shown"),
    [
        (Survival(None, 13, 14, 120), "13s"),
        (Survival(None, 120, None, 120), "120s+"),
        (Survival(None, 11.5, None, 13.5), "11.5s+"),
        (Survival(None, None, 1, 120), "-"),
        (Survival(None, None, None, 120), ""),
        (Survival(None, None, None, None), ""),
        (None, ""),
    ],
)
def test_what_is_survived_is_read_at_a_glance(survival: Survival | None, shown: str) -> None:
    assert tables.survived(survival) == shown


def test_reaps_out_of_bounds_are_told_at_every_width() -> None:
    sweep = made.sweep(made.candidates("outq", graces=(30.0,)), runs=0, dead=3, staircase=False)
    outcomes = [made.tried(number, 0, "reaped", reaped_at=made.FAULT + at) for number, at in enumerate((31, 45, 50))]
    told = "outq, poll 2s: 2 of 3 reaps came out of grace .. grace + poll from the onset"
    assert list(tables.remarks(estimate(sweep, outcomes))) == [told]


def test_only_what_stands_in_the_tables_is_explained() -> None:
    def words(estimates: Estimates) -> str:
        return " ".join(tables.legend(estimates.points, 0.001, wide=True))

    assert words(estimate(made.sweep(made.candidates("bytes-acked")), [])) == ""
    everything = ("false:", "survives:", "p50, p99:", "missed:", "seat:", "stalls:", "*:", "✗")
    assert all(word in words(one()) for word in everything)
    assert not any(word in words(one()) for word in ("?:", "out:"))
    assert "?:" in words(stopped())
    assert "*:" not in words(stopped())
