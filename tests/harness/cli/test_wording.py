from __future__ import annotations

import pytest

from halfopen.cli.wording import refusal


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No such option: --x", "no such option: --x"),
        (
            "Invalid value for '--clock': Value error, 'foo' is not one of 'auto', 'real', 'virtual'.",
            "invalid value for '--clock': 'foo' is not one of 'auto', 'real', 'virtual'",
        ),
        (
            "Invalid value for '--repeat': Input should be a valid integer, unable to parse string as an integer",
            "invalid value for '--repeat': it should be a valid integer, unable to parse string as an integer",
        ),
        ("two\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_a_refusal_is_one_line_of_ours_whoever_worded_it(said: str, told: str) -> None:
    assert refusal(said) == told
