"""The part of a sweep's output that is kept for the docs."""

from __future__ import annotations

import pytest

from benchmarks import curve, document

PRINTED = """\
halfopen 0.1.0: pod, grace 5s, poll 2s; virtual clock; seed 8
resumed: 3 of 9 batches are done
128 of 1,288 sessions; nothing recommended yet
grace  false   \n5s      1/24   \n
128 of 1,288 sessions tried so far

3 to look into (killed, missed, unproved): halfopen run out/draws/NAME.toml --clock virtual

1,300 runs in 281s, 60s of lab time each; results: out/grace.json, out/grace.csv, report: out/report.html
again:   halfopen grace --graces 5s
more:    halfopen grace --graces 5s --runs 4900 --out out --resume
"""


def test_progress_and_places_are_left_out() -> None:
    assert curve.cleaned(PRINTED).splitlines() == [
        "```console",
        "halfopen 0.1.0: pod, grace 5s, poll 2s; virtual clock; seed 8",
        "grace  false",
        "5s      1/24",
        "",
        "128 of 1,288 sessions tried so far",
        "",
        "1,300 runs in 281s, 60s of lab time each",
        "again:   halfopen grace --graces 5s",
        "```",
    ]


@pytest.mark.parametrize("missing", [PRINTED.splitlines()[0], PRINTED[PRINTED.index("again:") :], PRINTED])
def test_a_part_of_an_output_is_not_taken_for_all_of_it(missing: str) -> None:
    with pytest.raises(AssertionError, match="no sweep's whole output"):
        curve.cleaned(PRINTED.replace(missing, ""))


def test_there_is_one_place_for_it() -> None:
    assert "PRINTED" in document.replaced(curve.DOCUMENT.read_text(), curve.SECTION, "PRINTED")
