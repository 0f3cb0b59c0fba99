from __future__ import annotations

import re
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.errors import InputError
from halfopen.grace.parameters import Distribution, quantity
from halfopen.model.schema import convert
from halfopen.netns.lab_errors import UnitError

CHANCES = [n / 1000 for n in range(1001)]


def spread(**keys: Any) -> Distribution:
    return convert({"source": "guess"} | keys, Distribution, "mix.toml: x")


@pytest.mark.parametrize(
    ("text", "value", "fact"),
    [
        ("20ms", 0.02, "x_s"),
        ("64kbit", 64000, "x_bit_s"),
        ("16KiB/s", 16384, "x_bytes_s"),
        ("128KiB", 131072, "x_bytes"),
        ("5%", 0.05, "x"),
    ],
)
def test_a_quantity_is_of_the_kind_that_its_unit_says(text: str, value: float, fact: str) -> None:
    found = quantity(text)
    assert (found.value, found.fact("x")) == (value, fact)


@pytest.mark.parametrize(
    ("text", "got"), [("5 parsec", "5 parsec"), ("-1s", "-1s"), ("nans", "nans"), ("9" * 400 + "s", "9" * 40 + "...")]
)
def test_what_is_no_quantity_is_refused(text: str, got: str) -> None:
    with pytest.raises(UnitError, match=re.escape(f"got '{got}', write such as '5s', '64kbit'")):
        quantity(text)


@given(st.sampled_from(["1s", "1ms", "64kbit", "1B/s", "1B", "1%"]), st.floats(0.001, 0.9))
def test_what_is_written_is_what_was_drawn_to_the_last_digit(text: str, value: float) -> None:
    drawn = quantity(text).at(value)
    assert quantity(str(drawn)) == drawn


def test_rates_and_queues_come_out_in_whole_bytes_as_the_kernel_counts_them() -> None:
    rates = [quantity("1kbit").at(value).value for value in (100_000.0, 241_377.0, 1e6 / 3)]
    queues = [quantity("1s").at(value).value for value in (5.7123, 0.9434)]
    assert all((rate / 8 * queue).is_integer() for rate in rates for queue in (round(q, 3) for q in queues))


@pytest.mark.parametrize(
    ("keys", "least", "median", "most"),
    [
        ({"distribution": "uniform", "from": "4s", "to": "8s"}, 4, 6, 8),
        ({"distribution": "log-uniform", "from": "1s", "to": "100s"}, 1, 10, 100),
        ({"distribution": "lognormal", "median": "5s", "sigma": 1.0, "from": "1s", "to": "25s"}, 1, 5, 25),
        ({"distribution": "choice", "of": ["3s", "5s", "9s"]}, 3, 5, 9),
    ],
)
def test_a_distribution_keeps_within_its_bounds_and_has_its_median(
    keys: dict[str, Any], least: float, median: float, most: float
) -> None:
    values = [spread(**keys).at(chance).value for chance in CHANCES]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (least, most)
    assert statistics.median(values) == pytest.approx(median, rel=0.001)


def test_a_lognormal_distribution_has_its_sigma() -> None:
    wide = spread(distribution="lognormal", median="5s", sigma=1.0, **{"from": "1ms", "to": "10000s"})
    # One standard deviation above the median: 84.13 % of all.
    assert wide.at(0.8413447).value == pytest.approx(5 * 2.718281828, rel=0.001)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"distribution": "gaussian"}, "key 'distribution' does not know 'gaussian'"),
        ({"distribution": "uniform", "from": "1s"}, "distribution 'uniform' needs a 'to'"),
        (
            {"distribution": "uniform", "from": "1s", "to": "2s", "median": "1s"},
            "distribution 'uniform' has no use for 'median'",
        ),
        ({"distribution": "uniform", "from": "2s", "to": "1s"}, "'from' of '2s' is not less than 'to' of '1s'"),
        ({"distribution": "uniform", "from": "1s", "to": "2kbit"}, "quantities of different kinds: 1s, 2000bit"),
        ({"distribution": "log-uniform", "from": "0s", "to": "1s"}, "has no zero: got 'from' '0s'"),
        ({"distribution": "choice"}, "distribution 'choice' needs a 'of'"),
        ({"distribution": "choice", "of": ["many"]}, "a quantity is a number and its unit: got 'many'"),
        (
            {"distribution": "lognormal", "median": "9s", "sigma": 1.0, "from": "1s", "to": "2s"},
            "median of '9s' is not between 'from' '1s' and 'to' '2s'",
        ),
        (
            {"distribution": "lognormal", "median": "1.5s", "sigma": 0.0, "from": "1s", "to": "2s"},
            "sigma of 0 is out of range: more than 0",
        ),
        ({"distribution": "uniform", "from": "1s", "to": "2s", "source": " "}, "a source is empty"),
        ({"distribution": "uniform", "form": "1s", "to": "2s"}, "unknown key 'form'; did you mean 'from'?"),
        ({"distribution": "uniform", "from": 1, "to": "2s"}, "key 'from' takes text in quotes, got 1"),
    ],
)
def test_a_distribution_that_is_none_is_refused_in_a_sentence(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as refused:
        spread(**keys)
    assert str(refused.value).startswith("mix.toml: x: ")
    assert told in str(refused.value)


def test_a_number_without_a_source_is_refused() -> None:
    with pytest.raises(InputError, match="key 'source' is missing"):
        convert({"distribution": "uniform", "from": "1s", "to": "2s"}, Distribution, "mix.toml: x")
