"""Impairments: refused ones, those that need netem, and how they are shown and compared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from halfopen.netns.impairment import NONE, GilbertElliott, Impairment, differences
from halfopen.netns.units import BitRate, Duration, Share

BURSTS = GilbertElliott(p=Share(0.01), r=Share(0.25), lost_in_bad=Share(0.5), lost_in_good=Share(0.001))


def test_nothing_asked_for_is_nothing_done() -> None:
    assert Impairment() == NONE
    assert not NONE.netem_fields
    assert not NONE.is_random
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
        (Impairment(delay=Duration(1), jitter=Duration(0.1), distribution="pareto"), "1s±100ms pareto"),
        (Impairment(loss_model=GilbertElliott(p=Share(0.01))), "loss in bursts p 1% r 99%"),
        (
            Impairment(loss_model=BURSTS, limit=10, seed=7),
            "loss in bursts p 1% r 25% 1-h 50% 1-k 0.1%, at most 10 packets",
        ),
    ],
)
def test_it_is_shown_as_it_is_written(impairment: Impairment, shown: str) -> None:
    assert str(impairment) == shown


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"jitter": Duration(0.005)}, "jitter of 5ms needs a delay to vary"),
        ({"delay": Duration(9), "jitter": Duration(3)}, "jitter of 3s is more than the kernel can do: at most 2147ms"),
        ({"delay": Duration(9), "distribution": "normal"}, "distribution 'normal' needs a jitter to spread"),
        ({"reorder": Share(0.05)}, r"reorder of 5.0% needs a delay"),
        ({"gap": 5}, "a gap of 5 needs a reorder to space out"),
        ({"delay": Duration(9), "reorder": Share(1), "gap": -1}, "a gap of -1 packets is out of range: from 1 to"),
        ({"loss": Share(0.05), "loss_model": BURSTS}, "loss of 5% and a loss_model exclude each other"),
        ({"corrupt_correlation": Share(0.5)}, "corrupt_correlation of 50% needs a corrupt to apply to"),
        ({"limit": -1}, "a limit of -1 packets is out of range: from 1 to 4294967295"),
        ({"seed": -1}, "a seed of -1 is out of range: from 0 to 18446744073709551615"),
        ({"rate": BitRate(1)}, r"a rate of 1 bit/s is out of range: from 8bit to 1000Gbit"),
    ],
)
def test_what_the_kernel_would_silently_not_do_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Impairment(**fields)


def test_an_unknown_field_is_refused_when_decoded() -> None:
    with pytest.raises(msgspec.ValidationError, match="dleay"):
        msgspec.convert({"dleay": 1.0}, Impairment, dec_hook=lambda kind, value: kind(value))


def test_a_rate_alone_needs_no_netem() -> None:
    assert not Impairment(rate=BitRate(64_000)).netem_fields


@pytest.mark.parametrize(
    ("impairment", "fields"),
    [
        (Impairment(loss=Share(0.1)), ["loss"]),
        (Impairment(delay=Duration(0.02), reorder=Share(0.1), rate=BitRate(64_000)), ["delay", "reorder"]),
        (Impairment(delay=Duration(0.02), jitter=Duration(0.001)), ["delay", "jitter"]),
        (Impairment(duplicate=Share(0.1), corrupt=Share(0.1)), ["duplicate", "corrupt"]),
        (Impairment(loss_model=BURSTS, limit=10), ["loss_model", "limit"]),
    ],
)
def test_it_names_the_fields_that_need_netem(impairment: Impairment, fields: list[str]) -> None:
    assert impairment.netem_fields
    assert impairment.netem_fields == fields


def test_only_what_draws_random_numbers_is_random() -> None:
    assert Impairment(loss_model=BURSTS).is_random
    assert Impairment(delay=Duration(1), jitter=Duration(1)).is_random
    assert not Impairment(delay=Duration(1), rate=BitRate(64_000), limit=5).is_random


def test_what_is_as_it_was_asked_makes_no_difference() -> None:
    """Rounding to the kernel's units makes none, nor does the kernel's own seed, nor tc's default spelled out."""
    asked = Impairment(delay=Duration(0.02), reorder=Share(0.1), loss_model=GilbertElliott(p=Share(0.2)))
    model = GilbertElliott(p=Share(0.2000000001), r=Share(0.8))
    assert differences(asked, msgspec.structs.replace(asked, loss_model=model, seed=7, gap=1)) == []


@pytest.mark.parametrize(
    ("asked", "does", "told"),
    [
        (Impairment(rate=BitRate(100)), Impairment(rate=BitRate(96)), "rate: asked 100bit, in force 96bit"),
        (Impairment(seed=7), Impairment(), "seed: asked 7, in force none"),
        (Impairment(loss_model=BURSTS), Impairment(), "loss_model.p: asked 1%, in force none"),
        (Impairment(delay=Duration(0.02)), Impairment(), "delay: asked 20ms, in force 0s"),
        (Impairment(limit=7), Impairment(limit=8), "limit: asked 7, in force 8"),
    ],
)
def test_what_is_not_as_it_was_asked_is_told(asked: Impairment, does: Impairment, told: str) -> None:
    assert told in differences(asked, does)
