"""Parts of pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def rendered(cache: Path) -> list[str]:
    """Make a page in a fresh process. Return the compiled templates in a user's ``cache``."""
    code = "from halfopen.report import parts; parts.template('report.html.j2')"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"XDG_CACHE_HOME": str(cache)}, check=True)
    return sorted(path.name for path in cache.glob("halfopen/templates/*"))


def test_a_template_is_compiled_once_and_kept_for_the_next_process(tmp_path: Path) -> None:
    kept = rendered(tmp_path)
    assert len(kept) == 1
    assert rendered(tmp_path) == kept


def test_a_cache_that_takes_no_templates_costs_no_page(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    assert rendered(taken) == []
