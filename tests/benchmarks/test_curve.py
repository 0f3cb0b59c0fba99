"""What is kept of a sweep's output for the docs."""

from __future__ import annotations

from benchmarks import curve

PRINTED = """\
halfopen 0.1.0: pod, grace 5s, poll 2s; virtual clock; seed 8
resumed: 3 of 9 batches are done
128 of 1,288 sessions; nothing recommended yet
grace  false   \n5s      1/24   \n
128 of 1,288 sessions tried so far
plot: out/grace-frontier.svg

1,300 runs in 281s, 60s of lab time each; results: out/grace.json, out/grace.csv, report: out/report.html
again:   halfopen grace --graces 5s
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
