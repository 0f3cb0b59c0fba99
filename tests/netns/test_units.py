"""Quantities in text: accepted values, shown values, and refusals with the fix."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError

PARSERS: list[Callable[[object], float]] = [
    units.duration,
    units.bit_rate,
    units.byte_rate,
    units.size,
    units.share,
]
SOME_NUMBER = st.decimals(min_value=0, max_value=1_000_000, places=3).map(str)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.duration, "20ms", 0.02),
        (units.duration, "30s", 30),
        (units.duration, "1.5 min", 90),
        (units.duration, " 2h ", 7200),
        (units.duration, "150us", 0.00015),
        (units.bit_rate, "64kbit", 64_000),
        (units.bit_rate, "1.5Mbit", 1_500_000),
        (units.bit_rate, "1Gbit", 1e9),
        (units.byte_rate, "48KiB/s", 49_152),
        (units.byte_rate, "1kB/s", 1000),
        (units.size, "128KiB", 131_072),
        (units.size, "1MB", 1_000_000),
        (units.share, "1%", 0.01),
        (units.share, "100%", 1),
        (units.share, "0%", 0),
    ],
)
def test_a_number_with_its_unit_is_read(parse: Callable[[object], float], text: str, value: float) -> None:
    assert parse(text) == pytest.approx(value)


@given(number=SOME_NUMBER, unit=st.sampled_from(sorted(units.SECONDS)))
def test_every_unit_of_time_counts_as_it_should(number: str, unit: str) -> None:
    assert units.duration(number + unit) == pytest.approx(float(number) * units.SECONDS[unit])


@given(seconds=st.floats(min_value=1e-4, max_value=1e5))
def test_a_duration_shown_reads_as_what_it_was(seconds: float) -> None:
    assert units.duration(units.show_duration(seconds)) == pytest.approx(seconds, rel=1e-3, abs=0.051)


@given(rate=st.floats(min_value=1, max_value=1e12))
def test_a_rate_shown_reads_as_what_it_was(rate: float) -> None:
    assert units.bit_rate(units.show_bit_rate(rate)) == pytest.approx(rate, rel=1e-3)


@given(text=st.text(max_size=12))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    for parse in PARSERS:
        with contextlib.suppress(UnitError):
            assert parse(text) >= 0


@pytest.mark.parametrize("bare", [30, 30.5, "30", True, None])
def test_a_bare_number_is_refused_with_the_value_and_the_fix(bare: object) -> None:
    with pytest.raises(UnitError) as refused:
        units.duration(bare)
    assert str(refused.value) == f'a duration needs a unit: got {bare!r}, write "{bare}s"'


def test_an_unknown_unit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnitError) as refused:
        units.bit_rate("64kbps")
    assert str(refused.value) == ("unknown unit 'kbps' in '64kbps': a link's rate is written in bit, kbit, Mbit, Gbit")


@pytest.mark.parametrize("text", ["", "s", "-5s", "1e3s", "five s", "5s 3ms", "٣s", "5.s", ".5s"])
def test_what_is_no_number_and_unit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnitError) as refused:
        units.duration(text)
    assert str(refused.value) == f"a duration is a number and a unit: got {text!r}, write for example '30s'"


def test_more_digits_than_a_number_holds_are_refused() -> None:
    with pytest.raises(UnitError, match="a size is too large: got 400 digits"):
        units.size("9" * 400 + "B")


def test_a_share_above_the_whole_is_refused() -> None:
    with pytest.raises(UnitError, match="a share is at most 100%: got '101%'"):
        units.share("101%")


def test_a_size_is_a_whole_number_of_bytes() -> None:
    assert units.size("1.5KiB") == 1536
    assert isinstance(units.size("1.5KiB"), int)


@pytest.mark.parametrize(("kind", "parse"), units.PARSERS.items())
def test_every_kind_of_quantity_has_the_parser_that_makes_it(kind: type, parse: Callable[[object], object]) -> None:
    example = {"Share": "1%", "BitRate": "1bit", "ByteRate": "1B/s", "Size": "1B", "Duration": "1s"}
    assert type(parse(example[kind.__name__])) is kind


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.02, "20ms"), (0.0005, "0.5ms"), (5.4, "5.4s"), (78, "78s"), (780, "13min"), (601, "601s")],
)
def test_durations_are_shown_as_people_say_them(seconds: float, shown: str) -> None:
    assert units.show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (456_000, "456 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (2_600_000, "2.6 MB")],
)
def test_bytes_are_shown_as_people_say_them(count: int, shown: str) -> None:
    assert units.show_bytes(count) == shown


@pytest.mark.parametrize(
    ("rate", "shown"), [(64_000, "64kbit"), (1_500_000, "1.5Mbit"), (1e9, "1Gbit"), (10, "10bit"), (0.5, "0.5bit")]
)
def test_rates_are_shown_as_they_are_written(rate: float, shown: str) -> None:
    assert units.show_bit_rate(rate) == shown


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0, 6, "0"),
        (10, 6, "10"),
        (20.5, 6, "20.5"),
        (1e-7, 6, "0"),
        (1e15, 6, "1" + "0" * 15),
        (1.23456, 3, "1.235"),
        (2.5e5, 0, "250000"),
    ],
)
def test_plain_numbers_have_no_exponent_and_no_idle_zeros(value: float, digits: int, text: str) -> None:
    assert units.plain(value, digits) == text


@pytest.mark.parametrize(("bare", "meant"), [("0.001", "0.1%"), (0.05, "5%"), ("5", "5%"), (0, "0%"), ("1", "1%")])
def test_a_share_without_its_unit_is_a_part_of_one(bare: object, meant: str) -> None:
    with pytest.raises(UnitError) as refused:
        units.share(bare)
    assert str(refused.value).endswith(f'write "{meant}"')
