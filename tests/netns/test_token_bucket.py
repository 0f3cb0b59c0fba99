"""Token buckets: their sizes for a rate, and that written values are read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.netns import token_bucket, units
from halfopen.netns.units import BitRate


@given(st.sampled_from(["64kbit", "1Mbit", "10Mbit", "1Gbit", "1kbit", "100bit"]))
def test_a_bucket_holds_a_frame_and_its_queue_two(text: str) -> None:
    rate = units.bit_rate(text)
    speed, burst, limit = token_bucket.sizes(rate)
    assert speed == round(rate / 8)
    assert burst >= 1514
    assert limit - burst >= 2 * 1514


def test_a_fast_links_queue_holds_50_ms() -> None:
    _, burst, limit = token_bucket.sizes(units.bit_rate("100Mbit"))
    assert burst == 125_000  # 10 ms
    assert limit - burst == 625_000  # 50 ms


def test_a_queue_is_as_long_as_asked_and_read_back_as_such() -> None:
    rate, asked = units.bit_rate("1Mbit"), units.duration("4s")
    _, burst, limit = token_bucket.sizes(rate, asked)
    assert limit - burst == 500_000
    assert token_bucket.queue(memoryview(token_bucket.pack(rate, asked)), rate, asked) == asked
    assert token_bucket.queue(memoryview(token_bucket.pack(rate, asked / 2)), rate, asked) == asked / 2


def test_a_rate_alone_has_the_queue_that_nobody_asked_for() -> None:
    rate, none = units.bit_rate("1Mbit"), units.duration("0s")
    assert token_bucket.queue(memoryview(token_bucket.pack(rate)), rate, none) == none


@pytest.mark.parametrize("rate", [0, 8, 64_000, 40e9, 999e9])
def test_what_is_written_is_what_is_read(rate: float) -> None:
    assert token_bucket.unpack(memoryview(token_bucket.pack(BitRate(rate)))) == rate
