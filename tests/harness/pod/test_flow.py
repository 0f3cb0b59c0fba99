from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from halfopen.pod.flow import STALE_AFTER, WINDOW, FlowControl


def test_nothing_is_shed_while_the_client_never_acknowledged() -> None:
    flow = FlowControl()
    flow.count_sent(100 * WINDOW)
    assert flow.shed(waited=0) is None


def test_the_window_is_strictly_more_than_its_size() -> None:
    flow = FlowControl()
    flow.acknowledge(0)
    flow.count_sent(WINDOW)
    assert flow.shed(waited=0) is None
    flow.count_sent(1)
    assert flow.shed(waited=0) == "window"
    flow.acknowledge(1)
    assert flow.shed(waited=0) is None


def test_a_slice_that_waited_too_long_is_shed_as_stale() -> None:
    flow = FlowControl()
    assert flow.shed(waited=STALE_AFTER) is None
    assert flow.shed(waited=STALE_AFTER + 0.001) == "stale"


def test_the_window_is_asked_before_the_age() -> None:
    flow = FlowControl()
    flow.acknowledge(0)
    flow.count_sent(WINDOW + 1)
    assert flow.shed(waited=STALE_AFTER + 1) == "window"


def test_drops_are_counted_per_reason() -> None:
    flow = FlowControl()
    flow.shed(waited=3)
    flow.shed(waited=3)
    flow.acknowledge(0)
    flow.count_sent(WINDOW + 1)
    flow.shed(waited=0)
    assert flow.drops == {"stale": 2, "window": 1}


@given(st.lists(st.integers(0, 10**9)))
def test_acknowledgements_only_ever_rise(counts: list[int]) -> None:
    flow = FlowControl()
    seen = []
    for count in counts:
        flow.acknowledge(count)
        assert flow.acknowledged is not None
        seen.append(flow.acknowledged)
    assert all(a <= b for a, b in itertools.pairwise(seen))
    assert seen[-1:] == ([max(counts)] if counts else [])
