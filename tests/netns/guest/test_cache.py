from __future__ import annotations

from pathlib import Path

import pytest

from netns.guest import cache


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
    monkeypatch.setattr(cache, "FRAGMENT", other)
    assert cache.find("a") is None
    assert cache.newest() is None


def test_building_again_replaces_what_was_there() -> None:
    keep("a", "6.1.1")
    assert keep("a", "6.1.2").version == "6.1.2"
    found = cache.find("a")
    assert found is not None
    assert found.version == "6.1.2"


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


def test_an_empty_cache_has_no_kernel() -> None:
    assert cache.newest() is None
    assert cache.find("a") is None
