"""Builds the guest kernel: the distribution's Linux source, ARCH=um, and our configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from netns.errors import GuestError
from netns.guest import cache, packages
from netns.guest.cache import GuestKernel
from netns.guest.end_notices import announce_ends
from netns.guest.livelocks import end_livelocks
from netns.guest.packages import ask, run
from netns.guest.registers import make_room
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
#: The same of what unpacks a tarball (tar(1), -a), by its name; Ubuntu's is a .bz2.
_UNPACKERS = {".xz": ("xz", "xz-utils"), ".bz2": ("bzip2", "bzip2"), ".gz": ("gzip", "gzip"), ".zst": ("zstd", "zstd")}
_OLDEST = "6.1"
#: Without these a kernel is not what it is built for. What it has no option of, or none that can be
#: met, allnoconfig drops without a word.
_NEEDED = (
    "UML_TIME_TRAVEL_SUPPORT",
    "HOSTFS",
    "OVERLAY_FS",
    "DEVTMPFS",
    "VETH",
    "NET_SCH_NETEM",
    "NET_SCH_TBF",
    "NF_TABLES",
    "NF_TABLES_IPV4",
    "INET_TCP_DIAG",
    "INET_DIAG_DESTROY",
)
_INSTEAD = "give a kernel source tarball with --source FILE"
_PACKAGES = r"^linux-source-[0-9.]+$"
#: Lines that make prints for a kernel of our configuration; only the estimate depends on it.
_STEPS = 1340

# By whom and when it was built is mixed into a kernel's random numbers (Documentation/kbuild/reproducible-builds.rst).
_REPRODUCIBLE = (
    "KBUILD_BUILD_TIMESTAMP=2000-01-01",
    "KBUILD_BUILD_USER=halfopen",
    "KBUILD_BUILD_HOST=halfopen",
    "KBUILD_BUILD_VERSION=1",
)

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


def how_to_install(missing: dict[str, str]) -> str:
    """The command that installs the packages of ``missing``; with the C library's headers, which are no program."""
    return f"sudo apt-get install {' '.join(dict.fromkeys((*missing.values(), 'libc6-dev')))}"


def require_tools(tarball: Path | None = None) -> None:
    """Raise GuestError, naming the command that installs what is missing, to unpack the ``tarball`` too."""
    missing = missing_tools()
    unpacker = _UNPACKERS.get(tarball.suffix) if tarball else None
    if unpacker and shutil.which(unpacker[0]) is None:
        missing |= dict([unpacker])
    if missing:
        raise GuestError(
            f"building the guest kernel needs {', '.join(missing)}; install with: {how_to_install(missing)}"
        )


def require_version(version: str) -> None:
    """Raise GuestError for a source that is too old, or none; ``version`` as ``make kernelversion`` says it."""
    if not cache.numbers(version):
        raise GuestError("the tarball is no Linux source: it does not tell its version (make kernelversion)")
    if cache.numbers(version) < cache.numbers(_OLDEST):
        raise GuestError(f"the source is Linux {version}; the guest kernel needs Linux {_OLDEST} or newer")


def require_options(config: str, version: str) -> None:
    """Raise GuestError, naming the options that a ``.config``, given as text, lacks and a guest needs."""
    there = set(config.splitlines())
    missing = [option for option in _NEEDED if f"CONFIG_{option}=y" not in there]
    if missing:
        raise GuestError(
            f"Linux {version} could not be configured with {', '.join(missing)}; "
            f"the guest kernel needs Linux {_OLDEST} or newer"
        )


def package_source(place: Path) -> Source:
    """Download the distribution's ``linux-source-*`` package into ``place`` and unpack it; needs no root."""
    package, version = distribution_package()
    archive = packages.download(package, version, place)
    packages.unpack(archive, place / "unpacked")
    archive.unlink()
    tarball = next((place / "unpacked" / "usr" / "src").glob("linux-source-*.tar.*"))
    return Source(f"{package} {version}", tarball)


def distribution_package() -> tuple[str, str]:
    """Name and version of the distribution's newest kernel source package; raises GuestError.

    Newer is faster: a program starts three times as fast in a guest of 6.12 as in one of 6.1.
    """
    packages.require_apt(_INSTEAD)
    found = re.findall(
        r"^(linux-source-([\d.]+)) ", ask("apt-cache", "search", "--names-only", _PACKAGES), re.MULTILINE
    )
    if not found:
        raise GuestError(f"apt knows no linux-source; run: sudo apt-get update, or {_INSTEAD}")
    package: str = max(found, key=lambda one: [int(part) for part in one[1].split(".")])[0]
    return package, packages.candidate(package, _INSTEAD)


def file_source(path: Path) -> Source:
    """A tarball given by the user, called by its content; raises GuestError if there is none."""
    name = packages.named_by_content(path, "--source", "a kernel source tarball (.tar.xz, .tar.gz)")
    return Source(name, path.absolute())


def build(tarball: Fetch, name: str, progress: Progress) -> GuestKernel:
    """Build a kernel and put it into the cache; ``tarball`` fetches the source called ``name`` into a folder.

    Raises GuestError with the build's last words. What is not finished leaves nothing in the cache.
    """
    require_tools()
    with cache.workplace() as place:
        source = tarball(place)
        require_tools(source.tarball)
        tree, product = place / "tree", place / "product"
        tree.mkdir()
        product.mkdir()
        unpack = ["tar", "-xf", str(source.tarball), "-C", str(tree), "--strip-components=1"]
        run(unpack, place, "unpacking the source", packages.first_line)
        version = ask("make", "-s", "-C", str(tree), "kernelversion").strip()
        require_version(version)
        seeded = make_seedable(tree)
        end_livelocks(tree)
        announce_ends(tree)
        make_room(tree)
        make = ["make", "-C", str(tree), "ARCH=um", f"-j{os.cpu_count()}", *_REPRODUCIBLE]
        run([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={cache.FRAGMENT}"], place, "configuring")
        require_options((tree / ".config").read_text(), version)
        for done, _ in enumerate(_lines([*make, "linux"], place)):
            progress(min(done / _STEPS, 1.0))
        run(["strip", "-o", str(product / "linux"), str(tree / "linux")], place, "stripping")
        return cache.keep(product / "linux", source=name, version=version, seeded=seeded)


def _lines(command: list[str], place: Path) -> Iterator[str]:
    """Run a command and give each line it prints; raises GuestError with the last if it fails."""
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for last in process.stdout:
            yield last
    if process.returncode:
        raise GuestError(f"building the kernel failed with exit code {process.returncode}: {last.strip()}")
