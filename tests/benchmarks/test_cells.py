from __future__ import annotations

from typing import Any

from benchmarks.cells import differing, gathered, rendered


def table(clock: str, **classes: str) -> dict[str, Any]:
    runs = [
        {
            "suite": "dead", "scenario": name, "detector": "none", "class": klass, "verdict": "passed",
            "detection_s": 30.04 if klass == "true_reap" else None, "after_fault_s": None,
        }
        for name, klass in classes.items()
    ]  # fmt: skip
    return {"clock": clock, "runs": runs}


def test_a_cell_that_differs_is_named() -> None:
    cells = gathered([table("virtual", a="missed", b="true_reap"), table("real", a="true_reap", b="true_reap")])
    assert differing(cells) == ["none dead/a"]


def test_what_only_one_clock_has_is_no_cell() -> None:
    cells = gathered([table("virtual", a="missed", b="missed"), table("real", a="missed")])
    assert list(cells) == [("dead/a", "none")]


def test_the_runs_of_one_clock_may_come_in_parts() -> None:
    parts = [table("virtual", a="missed", b="true_reap"), table("real", a="missed"), table("real", b="true_reap")]
    text = rendered(gathered(parts))
    assert text.splitlines() == [
        "| scenario | none (virtual,real) |",
        "|---|---|",
        "| dead/a | missed |",
        "| dead/b | true reap, 30.0 s, 30.0 s |",
    ]
