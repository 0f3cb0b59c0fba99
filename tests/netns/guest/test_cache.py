from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.netns.guest import cache, recipe
from halfopen.netns.lab_errors import GuestError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def keep(source: str, version: str) -> cache.GuestKernel:
    with cache.workplace() as place:
        product = place / "product"
        product.mkdir()
        (product / "linux").write_text("a kernel")
        return cache.keep(product / "linux", source=source, version=version)


def test_what_is_kept_is_found_by_its_source() -> None:
    made = keep("linux-source-6.1 6.1.192-2", "6.1.192")
    assert cache.find("linux-source-6.1 6.1.192-2") == made
    assert made.program.read_text() == "a kernel"
    assert cache.find("linux-source-6.1 6.1.193-1") is None


def test_the_newest_is_by_number_and_not_by_letter() -> None:
    keep("a", "6.9.1")
    keep("b", "6.12.3")
    newest = cache.newest()
    assert newest is not None
    assert newest.version == "6.12.3"


def test_another_configuration_makes_another_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep("a", "6.1.1")
    other = tmp_path / "other.config"
    other.write_text("CONFIG_64BIT=y\n")
    monkeypatch.setattr(recipe, "FRAGMENT", other)
    assert cache.find("a") is None
    assert cache.newest() is None


def test_building_again_replaces_what_was_there() -> None:
    keep("a", "6.1.1")
    assert keep("a", "6.1.2").version == "6.1.2"
    found = cache.find("a")
    assert found is not None
    assert found.version == "6.1.2"


def test_of_two_builds_that_end_together_one_is_kept_and_none_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def overtaken(path: Path, target: Path) -> Path:
        if path.name == "product":  # The old product is gone, and the other's arrives first.
            monkeypatch.setattr(Path, "rename", rename)
            keep("a", "6.1.2")
        return rename(path, target)

    keep("a", "6.1.1")
    monkeypatch.setattr(Path, "rename", overtaken)
    made = keep("a", "6.1.2")
    assert cache.find("a") == made
    assert made.program.read_text() == "a kernel"
    assert list((cache.folder() / "under-construction").iterdir()) == []


def test_an_interrupted_build_leaves_nothing() -> None:
    def interrupted() -> None:
        with cache.workplace() as place:
            (place / "half").write_text("made")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((cache.folder() / "under-construction").iterdir()) == []
    assert cache.newest() is None


def test_what_a_killed_build_left_is_taken_away_by_the_next() -> None:
    left = cache.folder() / "under-construction" / "999999999-abc"
    left.mkdir(parents=True)
    with cache.workplace():
        assert not left.exists()


@pytest.mark.parametrize("more", ["", ', "time_travel": true, "recipe": 1'])
def test_a_description_of_an_earlier_release_is_read(more: str) -> None:
    made = keep("a", "6.1.1")
    made.program.with_name("build.json").write_text(f'{{"version": "6.1.1", "source": "a", "seeded": true{more}}}')
    found = cache.newest()
    assert found is not None
    assert (found.program, found.version, found.recipe) == (made.program, "6.1.1", 1 if more else 0)


def test_a_distributions_kernel_that_an_earlier_release_fetched_is_not_used() -> None:
    program = keep("user-mode-linux 6.1um4", "6.1.176").program
    described = '{"version": "6.1.176", "source": "user-mode-linux 6.1um4", "seeded": false, "time_travel": false}'
    program.with_name("build.json").write_text(described)
    # Its folder's name was not a hash of our configuration.
    program.parent.rename(cache.folder() / "0123456789abcdef")
    assert cache.newest() is None


def test_an_empty_cache_has_no_kernel() -> None:
    assert cache.newest() is None
    assert cache.find("a") is None


def test_a_user_without_a_home_has_no_kernel_and_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert cache.newest() is None
    with pytest.raises(GuestError, match="this user has no home; name one with XDG_CACHE_HOME"):
        cache.folder()
