"""What pages are made of."""

from __future__ import annotations

import jinja2
import pytest

from harness.report.parts import digest, template


def test_a_script_is_named_by_the_hash_of_its_text() -> None:
    assert digest("alert('Hello, world.');") == "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="


def test_a_place_that_is_not_filled_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        template("sweep.html.j2").render()
