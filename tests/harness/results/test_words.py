"""Words for a run. Anchors: safe in a URL, and each for one run only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.results import words
from halfopen.results.words import anchor


@pytest.mark.parametrize(
    ("label", "fragment"),
    [
        ("frozen", "frozen"),
        ("bytes-acked/frozen-2", "bytes-acked/frozen-2"),
        ("my case", "my~20~case"),
        ('"><script>', "~22~~3e~~3c~script~3e~"),
    ],
)
def test_a_label_is_a_fragment_that_can_be_read(label: str, fragment: str) -> None:
    assert anchor(label) == fragment


@given(st.text())
def test_a_fragment_holds_nothing_that_a_url_may_not(label: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~/-]*", anchor(label))


@given(st.text(alphabet="a~2/0- e"), st.text(alphabet="a~2/0- e"))
def test_two_labels_have_two_anchors(one: str, other: str) -> None:
    assert (anchor(one) == anchor(other)) == (one == other)


@pytest.mark.parametrize(("duration", "shown"), [(31.46, "31.5s"), (0.0, "0.0s"), (None, "")])
def test_seconds_have_a_tenth(duration: float | None, shown: str) -> None:
    assert words.seconds(duration) == shown


def test_a_run_without_a_session_is_a_cell_too() -> None:
    assert words.cell({"verdict": "failed", "class": None}) == "!"
    assert words.cell({"verdict": "inconclusive", "class": None}) == "?"
