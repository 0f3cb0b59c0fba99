"""The files kept beside a kernel make the same kernel from the same source."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from halfopen.netns.guest import cache, recipe
from halfopen.netns.guest.patches.seeding import make_seedable
from tests.netns.guest import kernels
from tests.netns.guest.patches.test_seeding import tree


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def applied(patch: str, texts: dict[str, str]) -> dict[str, str]:
    """Return the texts after a patch of whole hunks, by the patch's own lines. The tests need no patch(1)."""
    after = dict(texts)
    for part in patch.split("--- a/")[1:]:
        file, _, hunks = part.partition("\n+++ b/")
        for hunk in hunks.split("\n@@ ")[1:]:
            lines = hunk.split(" @@\n", 1)[1].splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            assert after[file].count(old) == 1
            after[file] = after[file].replace(old, "".join(line[1:] for line in lines if line[0] in " +"))
    return after


def test_the_patch_makes_what_was_built_of_what_was_given(tmp_path: Path) -> None:
    source = tree(tmp_path)
    before = recipe.texts(source)
    assert make_seedable(source)
    after = recipe.texts(source)
    assert before != after
    assert applied(recipe.patch(before, after), before) == after


def test_the_source_is_named_with_its_version_and_its_content(tmp_path: Path) -> None:
    folder = kernels.keep(tmp_path).program.parent / recipe.FOLDER
    readme = (folder / "README.md").read_text()
    assert "the tarball `linux-source-6.9.tar.xz` of `linux-source-6.9 6.9.7-1`" in readme
    assert hashlib.sha256(b"a tarball").hexdigest() in readme
    assert "-C linux linux\n" in readme
    assert (folder / "kernel.config").read_text() == recipe.FRAGMENT.read_text()
    assert (folder / "config").read_text().startswith("CONFIG_64BIT=y\n")
    assert "+static ssize_t seeded_random(" in (folder / "halfopen.patch").read_text()
    assert {file.name for file in folder.iterdir()} >= {"COPYING", "GPL-2.0"}


#: Key of the recipe with this number.
NUMBERED = {2: "f044291f0933e485"}


def test_another_recipe_has_another_number() -> None:
    """Two kernels of one version of Linux must not become two wheels of one version.

    If this fails, raise cache.RECIPE, and write the new key here beside it.
    """
    assert {cache.RECIPE: cache.key("")} == NUMBERED
