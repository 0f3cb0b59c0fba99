"""Benchmark results in the documentation."""

from __future__ import annotations

import pytest

from benchmarks import agreement, determinism, document
from benchmarks.fidelity import __main__ as fidelity

BEGIN, END = "<!-- speed: begin (make it again) -->", "<!-- speed: end -->"


@pytest.mark.parametrize("old", ["", "\nold\n\n"])
def test_figures_go_between_their_markers_and_nowhere_else(old: str) -> None:
    around = "before\n<!-- size: begin (x) -->\n<!-- size: end -->\n"
    text = f"{around}{BEGIN}\n{old}{END}\nafter\n"
    assert document.replaced(text, "speed", "new") == f"{around}{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_section_that_is_missing_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="section 'speed' is 0 times"):
        document.replaced("nothing\n", "speed", "new")


@pytest.mark.parametrize("section", [fidelity.SECTION, agreement.SECTION, determinism.SECTION])
def test_the_document_has_a_place_for_each(section: str) -> None:
    text = document.DOCUMENT.read_text()
    assert document.replaced(text, section, "new") != text
