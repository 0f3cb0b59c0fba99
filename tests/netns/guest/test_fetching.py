"""A fetched kernel is kept whole or not at all, and every failure names its remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from halfopen.netns.guest import cache, fetching
from halfopen.netns.lab_errors import GuestError
from tests.netns.guest import apt

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb (dpkg) is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def kept() -> list[str]:
    """Return everything in the cache."""
    return sorted(path.name for path in cache.folder().rglob("*") if path.name != "under-construction")


def test_a_package_becomes_a_kernel_with_modules_for_a_real_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = apt.package(tmp_path)
    calls = apt.pretend(monkeypatch, tmp_path, policy=apt.POLICY, download=f"cp {package} .")
    name = fetching.source(None)
    made = fetching.fetch(name, None)
    assert name == f"user-mode-linux {apt.VERSION}"
    assert calls.read_text().splitlines()[-1] == f"apt-get download user-mode-linux={apt.VERSION}"
    assert (made.version, made.source, made.time_travel) == ("6.9.7", name, False)
    assert made.program.read_text() == "a kernel"
    assert (made.modules / "kernel" / "a.ko").read_text() == "a module"
    assert made == cache.fetched() == cache.find(name, time_travel=False)


def test_a_package_given_as_a_file_is_called_by_its_content(tmp_path: Path) -> None:
    package = apt.package(tmp_path)
    name = fetching.source(package)
    assert name.startswith(f"{package.name} sha256:")
    assert fetching.fetch(name, package) == cache.fetched()
    assert package.exists()


def test_without_a_network_it_says_so_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "echo 'W: a warning' >&2; echo 'E: Failed to fetch http://x  No route to host' >&2; exit 100"
    apt.pretend(monkeypatch, tmp_path, policy=apt.POLICY, download=failing)
    with pytest.raises(GuestError) as caught:
        fetching.fetch(fetching.source(None), None)
    assert str(caught.value) == (
        f"downloading user-mode-linux {apt.VERSION} failed: Failed to fetch http://x  No route to host; "
        "is there a network? if the lists of packages are old, run: sudo apt-get update"
    )
    assert kept() == []


def test_a_package_that_apt_does_not_know_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.pretend(monkeypatch, tmp_path, policy="true", download="false")
    with pytest.raises(GuestError, match="apt has no candidate for user-mode-linux; run: sudo apt-get update, or give"):
        fetching.source(None)


def test_a_machine_without_apt_is_told_to_give_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GuestError, match=r"no Debian or Ubuntu .*; give the file of .* with --package FILE"):
        fetching.source(None)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        GuestError, match="cannot be read: no such file or directory; name one such as user-mode-linux_"
    ):
        fetching.source(tmp_path / "none.deb")


def test_a_file_that_is_no_package_is_refused_and_nothing_kept(tmp_path: Path) -> None:
    bad = tmp_path / "bad.deb"
    bad.write_text("no package")
    with pytest.raises(GuestError, match=r"unpacking bad\.deb failed with exit code 2"):
        fetching.fetch(fetching.source(bad), bad)
    assert kept() == []


@pytest.mark.parametrize("without", ["usr/bin/linux.uml", "usr/lib/uml/modules/6.9.7/modules.dep"])
def test_a_package_of_something_else_is_refused_and_nothing_kept(tmp_path: Path, without: str) -> None:
    package = apt.package(tmp_path, without=without)
    with pytest.raises(GuestError, match="holds no kernel where user-mode-linux has it"):
        fetching.fetch(fetching.source(package), package)
    assert kept() == []
