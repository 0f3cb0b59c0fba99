from __future__ import annotations

import itertools

import pytest

from halfopen.pod.stream import Stream


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
