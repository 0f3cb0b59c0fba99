"""Builds the guest kernel: the distribution's Linux source, ARCH=um, and our configuration."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from netns.errors import GuestError
from netns.guest import cache
from netns.guest.cache import GuestKernel
from netns.guest.seeding import make_seedable

#: Program -> the Debian package that brings it.
_TOOLS = {
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "xz": "xz-utils",
    "tar": "tar",
    "perl": "perl",
}
_PACKAGES = r"^linux-source-[0-9.]+$"
#: Lines that make prints for a kernel of our configuration; only the estimate depends on it.
_STEPS = 1100

Progress = Callable[[float], None]
"""Is told how much of a build is done, between 0 and 1."""


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel source tarball and what it is called."""

    name: str
    tarball: Path


Fetch = Callable[[Path], Source]
"""Gets a source, using the folder it is given for what it downloads."""


def missing_tools() -> dict[str, str]:
    """The programs a build needs and this machine lacks, with the packages that bring them."""
    return {tool: package for tool, package in _TOOLS.items() if shutil.which(tool) is None}


def require_tools() -> None:
    """Raise GuestError, naming the command that installs what is missing."""
    missing = missing_tools()
    if missing:
        raise GuestError(
            f"building the guest kernel needs {', '.join(missing)}; "
            f"install with: sudo apt-get install {' '.join(dict.fromkeys(missing.values()))} libc6-dev"
        )


def package_source(place: Path) -> Source:
    """Download the distribution's ``linux-source-*`` package into ``place`` and unpack it; needs no root."""
    package, version = distribution_package()
    _run(["apt-get", "download", f"{package}={version}"], place, f"downloading {package}")
    archive = next(place.glob("*.deb"))
    _run(["dpkg-deb", "-x", str(archive), "unpacked"], place, f"unpacking {package}")
    archive.unlink()
    tarball = next((place / "unpacked" / "usr" / "src").glob("linux-source-*.tar.*"))
    return Source(f"{package} {version}", tarball)


def distribution_package() -> tuple[str, str]:
    """Name and version of the distribution's newest kernel source package; raises GuestError.

    Newer is faster: a program starts three times as fast in a guest of 6.12 as in one of 6.1.
    """
    if shutil.which("apt-cache") is None:
        raise GuestError("this is no Debian or Ubuntu (no apt-cache); give a kernel source tarball with --source FILE")
    found = re.findall(
        r"^(linux-source-([\d.]+)) ", _ask("apt-cache", "search", "--names-only", _PACKAGES), re.MULTILINE
    )
    if not found:
        raise GuestError("apt knows no linux-source; run: sudo apt-get update, or give a tarball with --source FILE")
    package: str = max(found, key=lambda one: [int(part) for part in one[1].split(".")])[0]
    candidate = re.search(r"Candidate: (\d\S*)", _ask("apt-cache", "policy", package))
    if candidate is None:
        raise GuestError(f"apt has no candidate for {package}; run: sudo apt-get update")
    return package, candidate[1]


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def file_source(path: Path) -> Source:
    """A tarball given by the user, called by its content; raises GuestError if there is none."""
    if not path.is_file():
        raise GuestError(f"--source {str(path)!r} is no file; name a kernel source tarball (.tar.xz, .tar.gz)")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Source(f"{path.name} sha256:{digest[:16]}", path.absolute())


def build(tarball: Fetch, name: str, progress: Progress) -> GuestKernel:
    """Build a kernel and put it into the cache; ``tarball`` fetches the source called ``name`` into a folder.

    Raises GuestError with the build's last words. What is not finished leaves nothing in the cache.
    """
    require_tools()
    with cache.workplace() as place:
        source = tarball(place)
        tree, product = place / "tree", place / "product"
        tree.mkdir()
        product.mkdir()
        _run(
            ["tar", "-xf", str(source.tarball), "-C", str(tree), "--strip-components=1"], place, "unpacking the source"
        )
        seeded = make_seedable(tree)
        version = _ask("make", "-s", "-C", str(tree), "kernelversion").strip()
        make = ["make", "-C", str(tree), "ARCH=um", f"-j{os.cpu_count()}"]
        _run([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={cache.FRAGMENT}"], place, "configuring")
        for done, _ in enumerate(_lines([*make, "linux"], place)):
            progress(min(done / _STEPS, 1.0))
        _run(["strip", "-o", str(product / "linux"), str(tree / "linux")], place, "stripping")
        return cache.keep(product / "linux", source=name, version=version, seeded=seeded)


def _run(command: list[str], place: Path, what: str) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestError(f"{what} failed with exit code {done.returncode}: {_last_line(done.stderr or done.stdout)}")


def _lines(command: list[str], place: Path) -> Iterator[str]:
    """Run a command and give each line it prints; raises GuestError with the last if it fails."""
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for last in process.stdout:
            yield last
    if process.returncode:
        raise GuestError(f"building the kernel failed with exit code {process.returncode}: {last.strip()}")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")
