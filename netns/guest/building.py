"""Build the guest kernel: the distribution's Linux source, ARCH=um, and our configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from halfopen.netns.guest import cache, recipe
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.packages import ask, run
from halfopen.netns.guest.patches import clock_reads, end_notices, failing_calls, headers, livelocks, registers, seeding
from halfopen.netns.guest.sources import KernelSource
from halfopen.netns.lab_errors import GuestError

#: Program -> the Debian package that contains it.
TOOLS = {
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "xz": "xz-utils",
    "tar": "tar",
    "perl": "perl",
}
#: The same for unpackers of tarballs (tar(1), -a), by file name suffix; Ubuntu's is a .bz2.
_UNPACKERS = {".xz": ("xz", "xz-utils"), ".bz2": ("bzip2", "bzip2"), ".gz": ("gzip", "gzip"), ".zst": ("zstd", "zstd")}
_OLDEST = "6.1"
#: Options without which a kernel is useless. allnoconfig silently drops options that the source lacks or cannot
#: satisfy.
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
#: Lines printed by make for a kernel of our configuration; only the estimate depends on it.
_STEPS = 1240
#: Share of the build after which the source is unpacked.
_UNPACKED = 0.15

#: Parts of a source that ARCH=um does not read, as patterns of tar(1). All their Kconfig files and Makefiles stay.
_NOT_NEEDED = (
    "*/arch/[!ux]*.[chS]",
    "*/arch/xtensa/*.[chS]",
    "*/arch/*.dts*",
    "*/tools/testing",
    "*/tools/perf",
    "*/Documentation/*/*",
    "*/sound/*.[chS]",
    # Drivers that stay: base, char, tty, and those of net that are not hardware's.
    "*/drivers/[!bctn]*/*.[chS]",
    "*/drivers/net/*/*.[chS]",
)

Progress = Callable[[float], None]
"""Callback for the completed share of a build, between 0 and 1."""

Fetch = Callable[[Path], KernelSource]
"""Fetches a source; the given folder is for its downloads."""


def missing_tools() -> dict[str, str]:
    """Return the programs that a build needs and this machine lacks, with the packages that contain them."""
    return {tool: package for tool, package in TOOLS.items() if shutil.which(tool) is None}


def how_to_install(missing: dict[str, str]) -> str:
    """Return the command that installs the packages of ``missing``, and the headers of the C library."""
    return f"sudo apt-get install {' '.join(dict.fromkeys((*missing.values(), 'libc6-dev')))}"


def require_tools(tarball: Path | None = None) -> None:
    """Raise GuestError if tools are missing, also for unpacking ``tarball``; it names the command to install them."""
    missing = missing_tools()
    unpacker = _UNPACKERS.get(tarball.suffix) if tarball else None
    if unpacker and shutil.which(unpacker[0]) is None:
        missing |= dict([unpacker])
    if missing:
        raise GuestError(
            f"building the guest kernel needs {', '.join(missing)}; install with: {how_to_install(missing)}"
        )


def require_version(version: str) -> None:
    """Raise GuestError for a source that is too old, or none; ``version`` is the output of ``make kernelversion``."""
    if not cache.numbers(version):
        raise GuestError(
            "the tarball is no Linux source: make kernelversion prints no version; name a kernel source tarball"
        )
    if cache.numbers(version) < cache.numbers(_OLDEST):
        raise GuestError(f"the source is Linux {version}; the guest kernel needs Linux {_OLDEST} or newer")


def require_options(config: str, version: str) -> None:
    """Raise GuestError if the text of a ``.config`` lacks options that a guest needs; it names them."""
    there = set(config.splitlines())
    missing = [option for option in _NEEDED if f"CONFIG_{option}=y" not in there]
    if missing:
        raise GuestError(
            f"Linux {version} could not be configured with {', '.join(missing)}; "
            f"the guest kernel needs Linux {_OLDEST} or newer"
        )


def build(tarball: Fetch, progress: Progress) -> GuestKernel:
    """Build a kernel and put it into the cache; ``tarball`` fetches the source into a folder.

    Raises GuestError with the last lines of the build's output. An unfinished build leaves nothing in the cache.
    """
    require_tools()
    with cache.workplace() as place:
        source = tarball(place)
        require_tools(source.tarball)
        progress(0.0)
        tree, product = place / "tree", place / "product"
        tree.mkdir()
        product.mkdir()
        unpack = ["tar", "-xf", str(source.tarball), "-C", str(tree), "--strip-components=1"]
        unpack += [f"--exclude={pattern}" for pattern in _NOT_NEEDED]
        run(unpack, place, "unpacking the source", line=0)
        progress(_UNPACKED)
        version = ask("make", "-s", "-C", str(tree), "kernelversion").strip()
        require_version(version)
        before = recipe.texts(tree)
        seeded = seeding.make_seedable(tree)
        livelocks.end_livelocks(tree)
        end_notices.announce_ends(tree)
        clock_reads.read_without_calls(tree)
        failing_calls.take_no_time(tree)
        registers.make_room(tree)
        headers.precompile(tree, version)
        make = [*recipe.MAKE, "-C", str(tree), f"-j{len(os.sched_getaffinity(0))}"]
        run([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={recipe.FRAGMENT}"], place, "configuring")
        require_options((tree / ".config").read_text(), version)
        for done, _ in enumerate(_lines([*make, "linux"], place)):
            progress(_UNPACKED + (1 - _UNPACKED) * min(done / _STEPS, 1.0))
        run(["strip", "-o", str(product / cache.PROGRAM), str(tree / "linux")], place, "stripping")
        recipe.write(product / recipe.FOLDER, tree, before, source.name, source.tarball, version)
        return cache.keep(product / cache.PROGRAM, source=source.name, version=version, seeded=seeded)


def _lines(command: list[str], place: Path) -> Iterator[str]:
    """Run a command and yield each line it prints; raises GuestError with the last if it fails."""
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for last in process.stdout:
            yield last
    if process.returncode:
        raise GuestError(f"building the kernel failed with exit code {process.returncode}: {last.strip()}")
