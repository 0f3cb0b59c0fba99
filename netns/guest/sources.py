"""Kernel sources: the newest package that apt offers of a tested series, or a tarball."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from halfopen.netns.guest import cache, packages
from halfopen.netns.guest.packages import ask
from halfopen.netns.lab_errors import GuestError

#: Newest series that passed the tests. A newer one is only used if given as a file.
NEWEST = "7.3"
#: Debian's suite that has it. A machine of an older Debian, or without backports, has older series only.
SUITE = "trixie-backports"

_INSTEAD = "give a kernel source tarball with --source FILE"
_NAMES = r"^linux-source-[0-9.]+$"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: Ignores the machine's own configuration, whose hooks are for its own lists.
_CONFIGURATION = """\
#clear APT::Update;
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::http::Timeout "20";
Dir::Cache "{apt}/cache";
Dir::Etc::SourceList "{apt}/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "{apt}/lists";
"""


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A kernel source tarball and its name."""

    name: str
    tarball: Path


@dataclass(frozen=True, slots=True)
class Package:
    """A kernel source package, and the options of the apt that offers it."""

    package: str
    version: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the kernel built from it."""
        return f"{self.package} {self.version}"

    @property
    def numbers(self) -> list[int]:
        """The kernel's version for comparisons: that of ``7.3.4-1~bpo13+1`` is ``[7, 3, 4]``."""
        return cache.numbers(self.version.partition("-")[0])


def newest_package(place: Path) -> Package:
    """Return the package of the newest tested series; raises GuestError if apt has none.

    Asks the machine's own apt. If that has an older one, asks its Debian mirror for ``SUITE``, with lists in the folder
    ``place``. Newer is faster: a program starts three times as fast in a guest of 6.12 as in one of 6.1, and from 6.16
    on system calls cost half.
    """
    if shutil.which("apt-cache") is None:
        raise GuestError(f"this machine is not a Debian or Ubuntu (no apt-cache); {_INSTEAD}")
    series = _newest_series(())
    options: tuple[str, ...] = ()
    if series != NEWEST:
        backports = _backports(place)
        if backports and (newer := _newest_series(backports)) and cache.numbers(newer) > cache.numbers(series or ""):
            series, options = newer, backports
    if series is None:
        raise GuestError(f"apt knows no linux-source up to {NEWEST}; run: sudo apt-get update, or {_INSTEAD}")
    package = f"linux-source-{series}"
    return Package(package, packages.candidate(package, _INSTEAD, options), options)


def package_source(place: Path) -> KernelSource:
    """Download the newest package into ``place`` and unpack its tarball; needs no root."""
    package = newest_package(place)
    archive = packages.download(package.package, package.version, place, package.options)
    packages.unpack(archive, place / "unpacked")
    archive.unlink()
    tarball = next((place / "unpacked" / "usr" / "src").glob("linux-source-*.tar.*"))
    return KernelSource(package.name, tarball)


def file_source(path: Path) -> KernelSource:
    """Return a tarball given by the user, named by its content; raises GuestError if there is none."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise GuestError(f"--source {str(path)!r}: {why}; name a kernel source tarball (.tar.xz, .tar.gz)") from None
    return KernelSource(f"{path.name} sha256:{digest[:16]}", path.absolute())


def _newest_series(options: tuple[str, ...]) -> str | None:
    """Return the newest series up to ``NEWEST`` that apt with these options offers, such as ``"6.12"``; else None."""
    listed = ask("apt-cache", *options, "search", "--names-only", _NAMES)
    offered: list[str] = re.findall(r"^linux-source-([\d.]+) ", listed, re.MULTILINE)
    tested = [series for series in offered if cache.numbers(series)[:2] <= cache.numbers(NEWEST)]
    return max(tested, key=cache.numbers, default=None)


def _backports(place: Path) -> tuple[str, ...] | None:
    """Return options for an apt that only uses ``SUITE`` of the machine's Debian mirror; None if there is no mirror.

    It writes only to ``place``, so it needs no root. It refuses packages not signed by Debian's keys.
    """
    mirrors = ask(
        "apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian", "Created-By: Packages"
    ).split()
    if not mirrors:
        return None
    apt = place / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirrors[0]} {SUITE} main\n")
    (apt / "apt.conf").write_text(_CONFIGURATION.format(apt=apt))
    options = (f"--config-file={apt / 'apt.conf'}",)
    ask("apt-get", *options, "--quiet", "update")
    return options
