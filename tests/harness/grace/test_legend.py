from __future__ import annotations

from halfopen.grace import legend
from halfopen.grace.estimates import estimate
from tests.harness.grace import made, test_tables


def test_only_what_stands_in_the_tables_is_explained() -> None:
    words = " ".join(legend.lines(estimate(made.sweep(made.candidates("bytes-acked")), []), 0.001, wide=True))
    assert words == ""
    words = " ".join(legend.lines(test_tables.one(), 0.001, wide=True))
    assert all(word in words for word in ("false:", "survives:", "p50, p99:", "missed:", "seat:", "stalls:", "*:", "✗"))
    assert not any(word in words for word in ("?:", "out:"))
    words = " ".join(legend.lines(test_tables.stopped(), 0.001, wide=True))
    assert "?:" in words
    assert "*:" not in words
