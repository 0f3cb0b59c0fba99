from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.pod.stream import STALE_AFTER, WINDOW, FlowControl, Stream


def test_slices_come_at_a_fixed_rate_from_the_start_on() -> None:
    slices = list(itertools.islice(Stream(size=10, interval=0.5).slices(100.0), 3))
    assert [due for due, _ in slices] == [100.0, 100.5, 101.0]
    assert [len(payload) for _, payload in slices] == [10, 10, 10]


def test_a_stream_is_quiet_from_then_on_for_so_long_and_then_goes_on() -> None:
    stream = Stream(size=10, interval=0.5, quiet_after=1.0, quiet_for=30.0)
    assert [due for due, _ in itertools.islice(stream.slices(100.0), 4)] == [100.0, 100.5, 131.0, 131.5]


def test_a_stream_that_is_quiet_to_the_end_ends() -> None:
    assert [due for due, _ in Stream(size=10, interval=0.5, quiet_after=0.6).slices(100.0)] == [100.0, 100.5]


def test_the_default_is_640_kibibytes_a_second() -> None:
    stream = Stream()
    assert stream.size / stream.interval == pytest.approx(640 * 1024)


def test_nothing_is_shed_while_the_client_never_acknowledged() -> None:
    flow = FlowControl()
    flow.sent += 100 * WINDOW
    assert flow.shed(waited=0) is None


def test_the_window_is_strictly_more_than_its_size() -> None:
    flow = FlowControl()
    flow.acknowledge(0)
    flow.sent += WINDOW
    assert flow.shed(waited=0) is None
    flow.sent += 1
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
    flow.sent += WINDOW + 1
    assert flow.shed(waited=STALE_AFTER + 1) == "window"


def test_drops_are_counted_per_reason() -> None:
    flow = FlowControl()
    flow.shed(waited=3)
    flow.shed(waited=3)
    flow.acknowledge(0)
    flow.sent += WINDOW + 1
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
