"""Parts of pages."""

from __future__ import annotations

import jinja2
import pytest

from halfopen.report.parts import digest, part, scripts, template


def test_a_script_is_named_by_the_hash_of_its_text() -> None:
    assert digest("alert('Hello, world.');") == "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="


def test_a_place_that_is_not_filled_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        template("sweep.html.j2").render()


@pytest.mark.parametrize("name", ["assets/report.js", "assets/sweep.js"])
def test_every_page_has_the_theme_before_its_own_script(name: str) -> None:
    its = scripts(name)
    assert [one.text for one in its[1:]] == [part("assets/theme.js"), part(name)]
    assert [one.digest for one in its] == [digest(one.text) for one in its]
