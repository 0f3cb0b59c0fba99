"""Tables of distributions: equal to iproute2's, if installed, and mathematically correct by themselves."""

from __future__ import annotations

import array
import statistics
from pathlib import Path

import pytest

from halfopen.netns import distributions
from halfopen.netns.distributions import Distribution

_INSTALLED = [
    *Path("/usr/lib").glob("tc/*.dist"),
    *Path("/usr/lib").glob("*/tc/*.dist"),
    *Path("/usr/share").glob("tc/*.dist"),
]
_THEIRS = {path.stem: path for path in _INSTALLED}


def numbers(name: Distribution) -> list[int]:
    return array.array("h", distributions.table(name)).tolist()


@pytest.mark.parametrize("name", ["normal", "pareto", "paretonormal"])
def test_a_table_is_iproute2s_number_for_number(name: Distribution) -> None:
    if name not in _THEIRS:
        pytest.skip("iproute2's tables are not installed (/usr/lib/tc)")
    lines = _THEIRS[name].read_text().splitlines()
    assert numbers(name) == [int(word) for line in lines if not line.startswith("#") for word in line.split()]


@pytest.mark.parametrize(
    ("name", "lowest", "deviation"),
    [("uniform", -1, 3**-0.5), ("normal", -4, 1), ("pareto", -2 / 3, 0.82), ("paretonormal", -1.5, 0.84)],
)
def test_a_tables_unit_is_the_jitter(name: Distribution, lowest: float, deviation: float) -> None:
    values = [number / 8192 for number in numbers(name)]
    assert statistics.fmean(values) == pytest.approx(0, abs=0.04)  # the tails are cut off at 4
    assert statistics.pstdev(values) == pytest.approx(deviation, abs=0.02)
    assert min(values) == pytest.approx(lowest, abs=0.01)
