"""Points as curves: their grouping, order and names."""

from __future__ import annotations

import pytest

from halfopen.grace import curves
from halfopen.grace.estimates import frontiers
from tests.harness.grace import made
from tests.harness.grace.made import table


def test_a_curve_is_of_one_detector_and_poll_by_grace_and_the_first_tried_comes_first() -> None:
    points = [("outq", 2.0, 30.0), ("bytes-acked", 2.0, 5.0), ("outq", 1.0, 5.0), ("outq", 2.0, 5.0)]
    found = curves.grouped(points, lambda point: point)
    assert list(found) == [("outq", 2.0), ("bytes-acked", 2.0), ("outq", 1.0)]
    assert found["outq", 2.0] == (points[3], points[0])


def test_the_file_has_the_curves_that_were_estimated() -> None:
    found = curves.of_table(table("outq", "bytes-acked", None))
    assert list(found) == list(frontiers(made.estimates("outq", "bytes-acked", None, runs=1, dead=0).points))
    assert [point["grace_s"] for point in found["bytes-acked", 2.0]] == [5.0, 30.0]


@pytest.mark.parametrize(
    ("key", "shown"), [(("outq", 2.0), "outq, poll 2s"), ((None, 2.0), "the server's own detector")]
)
def test_what_a_curve_is_called(key: curves.Key, shown: str) -> None:
    assert curves.title(*key) == shown


def test_the_poll_is_in_a_name_only_where_there_are_several() -> None:
    assert curves.names([("outq", 2.0), ("ping", 2.0)]) == {("outq", 2.0): "outq", ("ping", 2.0): "ping"}
    several = curves.names([("outq", 1.0), ("outq", 5.0)])
    assert list(several.values()) == ["outq, poll 1s", "outq, poll 5s"]
