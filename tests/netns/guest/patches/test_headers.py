"""Headers read once for all files: the sources changed for it, all of them covered by the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.netns.guest import recipe, sources
from halfopen.netns.guest.patches.headers import NEW, SERIES, precompile
from tests.netns.guest.test_recipe import applied

RULES = """\
c_flags        = -Wp,-MMD,$(depfile) $(LINUXINCLUDE) $(basename_flags) $(modname_flags)

a_flags        = -Wp,-MMD,$(depfile) $(LINUXINCLUDE) $(modname_flags)
"""
TOP = """\
offsets-file := include/generated/asm-offsets.h

PHONY += prepare
prepare: $(offsets-file) missing-syscalls $(atomic-checks)
	@:
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for file, text in {"scripts/Makefile.lib": "\n" + RULES, "Kbuild": TOP}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    (tmp_path / "include/linux").mkdir(parents=True)
    return tmp_path


def test_they_are_read_before_any_file_is_compiled(tree: Path) -> None:
    precompile(tree, f"{SERIES}.4")
    assert "\nprepare: $(precompiled) $(offsets-file) " in (tree / "Kbuild").read_text()
    assert all((tree / file).read_text() == text for file, text in NEW.items())


def test_the_recipes_patch_adds_the_new_files(tree: Path) -> None:
    before = recipe.texts(tree)
    precompile(tree, f"{SERIES}.4")
    after = recipe.texts(tree)
    assert set(NEW) < {file for file, text in after.items() if text != before[file]}
    assert applied(recipe.patch(before, after), before) == after


@pytest.mark.parametrize("version", ["6.1.192", "7.30.1", "8.0.0"])
def test_another_series_stays_as_it_is(tree: Path, version: str) -> None:
    before = recipe.texts(tree)
    precompile(tree, version)
    assert recipe.texts(tree) == before


def test_a_source_that_is_another_stays_as_it_is(tree: Path) -> None:
    (tree / "Kbuild").write_text("")
    before = recipe.texts(tree)
    precompile(tree, f"{SERIES}.4")
    assert recipe.texts(tree) == before
    assert not any((tree / file).exists() for file in NEW)


def test_the_newest_series_was_looked_through() -> None:
    """If this fails, compare the new series' objects, built with and without, before raising headers.SERIES."""
    assert sources.NEWEST == SERIES
