"""The folder for a guest's memory: programs can run from it, and it has room."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.netns import _libc
from halfopen.netns.guest import memory_dir
from halfopen.netns.lab_errors import GuestError
from tests.isolated import isolated
from tests.machine import needs_labs

PLENTY = 1 << 40


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return two folders that replace the machine's. None is set by the user."""
    found = [tmp_path / "first", tmp_path / "second"]
    for folder in found:
        folder.mkdir()
    monkeypatch.setattr(memory_dir, "USUAL", found)
    monkeypatch.delenv("TMPDIR", raising=False)
    return found


def free_are(monkeypatch: pytest.MonkeyPatch, **left: int) -> None:
    monkeypatch.setattr(memory_dir, "free", lambda folder: left[folder.name])


def test_the_first_with_ample_room_is_taken(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, first=PLENTY, second=2 * PLENTY)
    assert memory_dir.choose() == folders[0]


def test_a_small_one_is_passed_over(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, first=64 << 20, second=PLENTY)
    assert memory_dir.choose() == folders[1]


def test_of_small_ones_the_largest_is_taken(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, first=64 << 20, second=32 << 20)
    assert memory_dir.choose() == folders[0]


@pytest.mark.usefixtures("folders")
def test_the_one_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, first=PLENTY, second=PLENTY, named=PLENTY)
    (tmp_path / "named").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", "named")
    assert memory_dir.choose() == tmp_path / "named"


def test_one_that_is_not_there_is_passed_over(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, second=PLENTY)
    folders[0].rmdir()
    assert memory_dir.choose() == folders[1]


@needs_labs
@isolated
def test_one_where_no_program_may_be_run_is_refused(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    free_are(monkeypatch, second=PLENTY)
    _libc.mount("tmpfs", str(folders[0]), "tmpfs", _libc.MS_NOEXEC)
    assert memory_dir.why_not(folders[0]) == "mounted noexec"
    assert memory_dir.choose() == folders[1]


@needs_labs
@isolated
def test_where_none_will_do_each_is_told(folders: list[Path]) -> None:
    _libc.mount("tmpfs", str(folders[0]), "tmpfs", _libc.MS_NOEXEC)
    folders[1].rmdir()
    with pytest.raises(GuestError) as caught:
        memory_dir.choose()
    assert str(caught.value) == (
        f"no folder is suitable for a guest's memory: {folders[0]} (mounted noexec), "
        f"{folders[1]} (no such file or directory); name one with TMPDIR, or start the container with: "
        "--tmpfs /tmp:exec"
    )


def test_free_room_is_what_the_file_system_says(tmp_path: Path) -> None:
    before = memory_dir.free(tmp_path)
    assert before > 0
    assert memory_dir.mount_point(Path("/proc/self/fd")) == Path("/proc")
