"""The newest source known to work is used, wherever Debian's mirror has it, and never a newer one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from halfopen.netns.guest import cache, sources
from halfopen.netns.guest.sources import NEWEST, SUITE, Package, newest_package
from halfopen.netns.lab_errors import GuestError
from tests.netns.guest import apt

MIRROR = "http://mirror.invalid/debian/"
MAJOR, MINOR = cache.numbers(NEWEST)
TOO_NEW = f"{MAJOR}.{MINOR + 1}"
MIRRORS = f'case "$*" in *indextargets*) echo {MIRROR} ;; esac'


def knows(*series: str) -> str:
    """Return shell commands for an apt-cache that knows these series."""
    listed = " ".join(f'"linux-source-{one} - Linux kernel source"' for one in series)
    return f"""for word; do last=$word; done
case "$*" in
*search*) printf '%s\\n' "linux-source - a meta-package" {listed} ;;
*policy*) echo "  Candidate: ${{last#linux-source-}}.9-1~bpo1" ;;
esac"""


def test_the_newest_series_that_is_known_to_work_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = apt.pretend(monkeypatch, tmp_path, policy=knows("6.1", "6.12", NEWEST, TOO_NEW), download=MIRRORS)
    found = newest_package(tmp_path)
    assert found == Package(f"linux-source-{NEWEST}", f"{NEWEST}.9-1~bpo1")
    assert found.name == f"linux-source-{NEWEST} {NEWEST}.9-1~bpo1"
    assert found.numbers == [MAJOR, MINOR, 9]
    # The machine's own apt has it, so no other is asked.
    assert "apt-get" not in calls.read_text()


def test_what_only_a_newer_debian_has_is_asked_of_the_machines_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, backports = knows("6.1", "6.12"), knows("6.12", NEWEST, TOO_NEW)
    both = f'case "$1" in --config-file=*) {backports} ;; *) {own} ;; esac'
    calls = apt.pretend(monkeypatch, tmp_path, policy=both, download=MIRRORS)
    found = newest_package(tmp_path)
    assert found.package == f"linux-source-{NEWEST}"
    (option,) = found.options
    assert f"apt-get {option} --quiet update" in calls.read_text()
    configuration = Path(option.removeprefix("--config-file=")).read_text()
    assert 'AllowInsecureRepositories "false"' in configuration
    (listed,) = tmp_path.rglob("sources.list")
    assert listed.read_text().endswith(f"{MIRROR} {SUITE} main\n")
    assert "trusted=yes" not in listed.read_text()


def test_a_download_asks_the_apt_that_knows_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = f'case "$1" in --config-file=*) {knows(NEWEST)} ;; *) {knows("6.1")} ;; esac'
    calls = apt.pretend(monkeypatch, tmp_path, policy=both, download=f"{MIRRORS}\n[ $2 != download ]")
    with pytest.raises(GuestError, match=f"downloading linux-source-{NEWEST} "):
        sources.package_source(tmp_path)
    last = calls.read_text().splitlines()[-1]
    assert last.startswith("apt-get --config-file=")
    assert last.endswith(f" download linux-source-{NEWEST}={NEWEST}.9-1~bpo1")


@pytest.mark.parametrize("others", ["true", MIRRORS])
def test_without_a_mirror_of_debians_or_a_network_apts_own_newest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    none = f'case "$1" in --config-file=*) ;; *) {knows("6.1", "6.8.0")} ;; esac'
    apt.pretend(monkeypatch, tmp_path, policy=none, download=others)
    assert newest_package(tmp_path) == Package("linux-source-6.8.0", "6.8.0.9-1~bpo1")


def test_an_older_one_of_the_mirror_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = f'case "$1" in --config-file=*) {knows("6.1")} ;; *) {knows("6.12")} ;; esac'
    apt.pretend(monkeypatch, tmp_path, policy=both, download=MIRRORS)
    assert newest_package(tmp_path) == Package("linux-source-6.12", "6.12.9-1~bpo1")


def test_an_apt_that_knows_only_newer_ones_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt.pretend(monkeypatch, tmp_path, policy=knows(TOO_NEW), download="true")
    with pytest.raises(GuestError, match=f"no linux-source up to {NEWEST}; run: sudo apt-get update, or give a kernel"):
        newest_package(tmp_path)


#: An apt-cache with one source, that of the small package.
ONE = f"""case "$*" in
*search*) echo "linux-source-6.9 - Linux kernel source" ;;
*policy*) echo "  Candidate: {apt.VERSION}" ;;
esac"""
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb (dpkg) is not installed")


@needs_dpkg
def test_a_package_becomes_a_tarball_with_the_packages_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download = f'case "$*" in *download*) cp {apt.package(tmp_path)} . ;; esac'
    apt.pretend(monkeypatch, tmp_path, policy=ONE, download=download)
    place = tmp_path / "place"
    place.mkdir()
    found = sources.package_source(place)
    assert found.name == f"linux-source-6.9 {apt.VERSION}"
    assert found.tarball.read_text() == "a source"
    # The package itself takes no more room.
    assert list(place.glob("*.deb")) == []


def test_a_download_that_fails_is_told_with_apts_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "echo 'W: a warning' >&2; echo 'E: Failed to fetch http://x  No route to host' >&2; exit 100"
    apt.pretend(monkeypatch, tmp_path, policy=ONE, download=failing)
    with pytest.raises(GuestError) as caught:
        sources.package_source(tmp_path)
    assert str(caught.value) == (
        f"downloading linux-source-6.9 {apt.VERSION} failed: Failed to fetch http://x  No route to host; "
        "is there a network? if the lists of packages are old, run: sudo apt-get update"
    )


@needs_dpkg
def test_a_file_that_is_no_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = 'case "$*" in *download*) echo "no package" >bad.deb ;; esac'
    apt.pretend(monkeypatch, tmp_path, policy=ONE, download=bad)
    with pytest.raises(GuestError, match=r"unpacking bad\.deb failed with exit code 2"):
        sources.package_source(tmp_path)


def test_a_machine_without_apt_is_told_to_give_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GuestError, match=r"not a Debian or Ubuntu .*; give a kernel source tarball with --source FILE"):
        newest_package(tmp_path)


def test_a_package_without_a_candidate_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = 'case "$*" in *search*) echo "linux-source-6.9 - Linux kernel source" ;; esac'
    apt.pretend(monkeypatch, tmp_path, policy=listed, download="true")
    with pytest.raises(GuestError, match=r"no candidate for linux-source-6\.9; run: sudo apt-get update, or give"):
        newest_package(tmp_path)
