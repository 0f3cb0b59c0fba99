from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.cli.tool import halfopen
from tests.machine import needs_guest


@needs_guest
def test_a_kernel_that_is_there_is_told_and_not_built_again() -> None:
    ran = halfopen("kernel", "build")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("the guest kernel is there: Linux ")
    assert "Linux" in halfopen("kernel", "info").out


def test_without_one_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = halfopen("kernel", "info")
    assert ran.code == 1
    assert "build one with: halfopen kernel build" in ran.out
    warped = halfopen("warp", "--", "true")
    assert warped.code == 2
    assert warped.err == "halfopen: there is no guest kernel yet; build it once with: halfopen kernel build\n"


def test_a_source_that_is_none_is_refused(tmp_path: Path) -> None:
    ran = halfopen("kernel", "build", "--source", str(tmp_path / "no.tar.xz"))
    assert ran.code == 2
    assert "is no file; name a kernel source tarball" in ran.err


def test_a_source_that_does_not_unpack_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bad = tmp_path / "bad.tar.xz"
    bad.write_text("no tarball")
    ran = halfopen("kernel", "build", "--source", str(bad))
    assert ran.code == 2
    assert "unpacking the source failed" in ran.err
    assert list((tmp_path / "halfopen" / "kernels" / "under-construction").iterdir()) == []


def test_missing_tools_are_named_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    bad = tmp_path / "x.tar.xz"
    bad.write_text("x")
    ran = halfopen("kernel", "build", "--source", str(bad))
    assert ran.code == 2
    assert "sudo apt-get install gcc make flex bison bc xz-utils" in ran.err
