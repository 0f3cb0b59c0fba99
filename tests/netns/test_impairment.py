"""Impairments: what is refused, what needs netem, and the numbers that qdiscs are given."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netns import units
from netns.impairment import NONE, Impairment, netem_options, tbf_options
from netns.units import BitRate, Duration, Share


def test_nothing_asked_for_is_nothing_done() -> None:
    assert Impairment() == NONE
    assert not NONE.needs_netem
    assert netem_options(NONE) == {}
    assert str(NONE) == "unimpaired"


def test_an_impairment_is_a_value() -> None:
    one, other = (Impairment(delay=Duration(0.02), loss=Share(0.01)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(AttributeError):
        one.delay = Duration(0)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("impairment", "shown"),
    [
        (Impairment(delay=Duration(0.02)), "20ms"),
        (Impairment(delay=Duration(0.02), jitter=Duration(0.005)), "20ms±5ms"),
        (Impairment(loss=Share(0.01), rate=BitRate(64_000)), "loss 1%, 64kbit"),
        (Impairment(duplicate=Share(0.001), corrupt=Share(1)), "duplicate 0.1%, corrupt 100%"),
    ],
)
def test_it_is_shown_as_it_is_written(impairment: Impairment, shown: str) -> None:
    assert str(impairment) == shown


def test_jitter_without_a_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="jitter of 5ms needs a delay to vary"):
        Impairment(jitter=Duration(0.005))


def test_reorder_without_a_delay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reorder of 5.0% needs a delay"):
        Impairment(reorder=Share(0.05))


def test_an_unknown_field_is_refused_when_decoded() -> None:
    with pytest.raises(msgspec.ValidationError, match="dleay"):
        msgspec.convert({"dleay": 1.0}, Impairment, dec_hook=lambda kind, value: kind(value))


def test_a_rate_alone_needs_no_netem() -> None:
    assert not Impairment(rate=BitRate(64_000)).needs_netem


@pytest.mark.parametrize(
    ("impairment", "fields"),
    [
        (Impairment(loss=Share(0.1)), ["loss"]),
        (Impairment(delay=Duration(0.02), reorder=Share(0.1), rate=BitRate(64_000)), ["delay", "reorder"]),
        (Impairment(delay=Duration(0.02), jitter=Duration(0.001)), ["delay", "jitter"]),
        (Impairment(duplicate=Share(0.1), corrupt=Share(0.1)), ["duplicate", "corrupt"]),
    ],
)
def test_it_names_the_fields_that_need_netem(impairment: Impairment, fields: list[str]) -> None:
    assert impairment.needs_netem
    assert impairment.netem_fields == fields


def test_netem_is_given_microseconds_and_percent() -> None:
    everything = Impairment(
        delay=Duration(0.02),
        jitter=Duration(0.005),
        loss=Share(0.01),
        duplicate=Share(0.02),
        reorder=Share(0.03),
        corrupt=Share(0.04),
    )
    assert netem_options(everything) == pytest.approx(
        {"delay": 20_000, "jitter": 5_000, "loss": 1, "duplicate": 2, "prob_reorder": 3, "prob_corrupt": 4}
    )


@given(st.sampled_from(["64kbit", "1Mbit", "10Mbit", "1Gbit", "1kbit", "100bit"]))
def test_a_bucket_holds_a_frame_and_its_queue_two(text: str) -> None:
    rate = units.bit_rate(text)
    options = tbf_options(rate)
    assert options["rate"] == round(rate / 8)
    assert options["burst"] >= 1514
    assert options["limit"] - options["burst"] >= 2 * 1514


def test_a_fast_links_queue_holds_50_ms() -> None:
    options = tbf_options(units.bit_rate("100Mbit"))
    assert options["burst"] == 125_000  # 10 ms
    assert options["limit"] - options["burst"] == 625_000  # 50 ms
