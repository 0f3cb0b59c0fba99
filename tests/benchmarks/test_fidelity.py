"""The basis of the fidelity tables: the kernel's promises and the intervals."""

from __future__ import annotations

import pytest

from benchmarks.fidelity.intervals import wilson
from benchmarks.fidelity.kernels import Kernel
from benchmarks.fidelity.promises import Timer, granularity, lateness
from benchmarks.fidelity.readings import Clocks, Delay, Loss, Rate, Report, Wait
from benchmarks.fidelity.tables import everything


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    """R. G. Newcombe, 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("asked", "width"),
    [(0.01, 0.01), (0.62, 0.01), (0.64, 0.08), (5.03, 0.08), (5.12, 0.64), (40.3, 0.64), (40.96, 5.12), (300.0, 5.12)],
)
def test_the_wheels_buckets_are_those_of_the_kernel_at_100_hz(asked: float, width: float) -> None:
    """Compare with the table at the top of kernel/time/timer.c."""
    assert granularity(asked, 0.01) == pytest.approx(width)


def test_a_bucket_is_never_wider_than_about_an_eighth_of_the_wait_or_a_tick() -> None:
    for milliseconds in range(10, 300_000, 7):
        assert granularity(milliseconds / 1e3, 0.01) <= max(milliseconds / 1e3 * 8 / 63, 0.01)


def test_select_may_be_late_by_a_thousandth_and_at_most_a_tenth_of_a_second() -> None:
    assert [lateness(Timer.RANGE, asked, 0.01) for asked in (0.001, 1.0, 3600.0)] == [50e-6, 1e-3, 0.1]


def report(release: str) -> Report:
    return Report(
        release,
        0.01,
        [Wait("time.sleep", Timer.SLACK, asked, [asked]) for asked in (1.0, 60.0)] + [Wait("TCP", Timer.WHEEL, 1, [1])],
        Clocks({"CLOCK_TAI": 10.0}, 0.5),
        [Delay(0.15, 0.03, "client", [0.12, 0.18])],
        [Loss(0.1, "client", 20, 2)],
        [Rate(64e3, "client", 64_100)],
    )


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head() -> None:
    text = everything({kernel: report(kernel) for kernel in Kernel})
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 7
    for head, *rows in tables:
        assert {row.count("|") for row in rows} == {head.count("|")}
    assert "10.00 % (2.79 to 30.10 %)" in text
    assert "150.000 (120.000 to 180.000)" in text
