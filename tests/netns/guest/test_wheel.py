"""A built kernel becomes a wheel that states its identity, its platform and its sources."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from halfopen.netns.guest import cache, wheel
from halfopen.netns.lab_errors import GuestError
from tests.netns.guest import kernels

HEADERS = """
linux:     file format elf64-x86-64

Dynamic Section:
  NEEDED               libc.so.6
  NEEDED               libutil.so.1

Version References:
  required from libc.so.6:
    0x09691a75 0x00 05 GLIBC_2.2.5
    0x069691b4 0x00 02 GLIBC_2.34
    0x06969188 0x00 04 GLIBC_2.8
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_platform_is_the_newest_c_library_that_the_program_asks_for() -> None:
    assert wheel.platform(HEADERS) == "manylinux_2_34_x86_64"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("elf64-x86-64", "elf64-littleriscv"), "not for x86_64 and glibc"),
        (("GLIBC_", "MUSL_"), "not for x86_64 and glibc"),
        (("libutil.so.1", "libcap.so.2"), r"it needs libcap\.so\.2, which not every machine has"),
    ],
)
def test_a_program_that_no_tag_fits_is_refused(change: tuple[str, str], why: str) -> None:
    with pytest.raises(GuestError, match=why):
        wheel.platform(HEADERS.replace(*change))


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump (binutils) is not installed")
class TestWheel:
    def test_it_is_named_after_linux_the_recipe_and_the_platform(self, tmp_path: Path) -> None:
        made = wheel.write(kernels.keep(tmp_path), tmp_path / "new" / "dist")
        name, version, *tag = made.stem.split("-")
        assert made.parent == tmp_path / "new" / "dist"
        assert (name, version) == ("halfopen_kernel", f"6.9.7.{cache.RECIPE}")
        assert tag[:2] == ["py3", "none"]
        assert tag[2].startswith("manylinux_2_")

    def test_every_file_is_in_its_record(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(wheel.write(kernels.keep(tmp_path), tmp_path)) as archive:
            names = archive.namelist()
            (record,) = (name for name in names if name.endswith(".dist-info/RECORD"))
            rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
            assert [row[0] for row in rows] == names
            for name, digest, size in rows[:-1]:
                content = archive.read(name)
                hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, size) == (f"sha256={hashed}", str(len(content)))
            assert rows[-1] == [record, "", ""]

    def test_only_the_program_can_be_executed(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(wheel.write(kernels.keep(tmp_path), tmp_path)) as archive:
            modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        assert [name for name, mode in modes.items() if mode & 0o111] == ["halfopen_kernel/linux"]
        assert all(stat.S_ISREG(mode) for mode in modes.values())

    def test_it_offers_its_source(self, tmp_path: Path) -> None:
        made = wheel.write(kernels.keep(tmp_path), tmp_path)
        with zipfile.ZipFile(made) as archive:
            info = f"halfopen_kernel-6.9.7.{cache.RECIPE}.dist-info"
            metadata = archive.read(f"{info}/METADATA").decode()
            names = set(archive.namelist())
        assert "License-Expression: GPL-2.0-only\nLicense-File: COPYING\nLicense-File: GPL-2.0\n" in metadata
        assert "linux-source-6.9 6.9.7-1" in metadata
        assert {f"{info}/licenses/COPYING", f"{info}/licenses/GPL-2.0"} <= names
        offered = ("README.md", "config", "kernel.config", "halfopen.patch", "COPYING", "GPL-2.0")
        assert {f"halfopen_kernel/source/{name}" for name in offered} <= names

    def test_the_same_kernel_makes_the_same_wheel(self, tmp_path: Path) -> None:
        kernel = kernels.keep(tmp_path)
        first, second = (wheel.write(kernel, tmp_path / name) for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()

    def test_its_kernel_is_found_where_it_is_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kernel = kernels.keep(tmp_path)
        with zipfile.ZipFile(wheel.write(kernel, tmp_path)) as archive:
            archive.extractall(tmp_path / "site")
        monkeypatch.syspath_prepend(tmp_path / "site")
        found = cache.installed()
        assert found is not None
        assert found.program == tmp_path / "site" / "halfopen_kernel" / "linux"
        assert found == cache.newest()
        assert (found.version, found.source, found.recipe) == (kernel.version, kernel.source, cache.RECIPE)
        assert cache.built() == kernel

    def test_one_of_another_recipe_is_found_while_labs_can_do_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with zipfile.ZipFile(wheel.write(kernels.keep(tmp_path), tmp_path)) as archive:
            archive.extractall(tmp_path / "site")
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.setattr(cache, "RECIPE", cache.RECIPE + 1)
        assert cache.installed() is not None
        assert cache.too_old() is None
        monkeypatch.setattr(cache, "OLDEST_RECIPE", cache.RECIPE)
        assert cache.installed() is None
        told = cache.too_old()
        assert told is not None
        assert told.endswith("upgrade it with: pip install --upgrade 'halfopen[kernel]'")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"seeded": False}, "Linux 6.9.7 could not be seeded"),
        ({"version": "6.9.0-rc1"}, "is no release"),
        ({"program": __file__}, "not for x86_64 and glibc"),
    ],
)
def test_a_kernel_that_nobody_should_be_given_is_not_packed(tmp_path: Path, options: dict[str, str], why: str) -> None:
    with pytest.raises(GuestError, match=why):
        wheel.write(kernels.keep(tmp_path, **options), tmp_path / "dist")  # type: ignore[arg-type]
    assert not (tmp_path / "dist").exists()


def test_a_kernel_without_its_source_is_not_packed(tmp_path: Path) -> None:
    kernel = kernels.keep(tmp_path)
    shutil.rmtree(kernel.program.parent / "source")
    with pytest.raises(GuestError, match="has no source beside it"):
        wheel.write(kernel, tmp_path / "dist")
