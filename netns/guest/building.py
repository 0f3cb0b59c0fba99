"""Builds the guest kernel: the distribution's Linux source, ARCH=um, and our configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from halfopen.netns.errors import GuestError
from halfopen.netns.guest import cache, packages, recipe
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.clock_reads import read_without_calls
from halfopen.netns.guest.end_notices import announce_ends
from halfopen.netns.guest.headers import precompile
from halfopen.netns.guest.livelocks import end_livelocks
from halfopen.netns.guest.packages import ask, run
from halfopen.netns.guest.recipe import Recipe
from halfopen.netns.guest.registers import make_room
from halfopen.netns.guest.seeding import make_seedable
from halfopen.netns.guest.sources import Source

#: Program -> the Debian package that brings it.
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
#: Lines that make prints for a kernel of our configuration; only the estimate depends on it.
_STEPS = 1240

#: CPU time of a build, in units of the loop that the machine's speed is measured by.
_EFFORT = 7_200
#: The share of it after which the source is unpacked.
_UNPACKED = 0.15

#: What ARCH=um does not read of a source, as patterns of tar(1). All Kconfig files and Makefiles of the rest stay.
_NOT_NEEDED = (
    "*/arch/[!ux]*.[chS]",
    "*/arch/xtensa/*.[chS]",
    "*/arch/*.dts*",
    "*/tools/testing",
    "*/tools/perf",
    "*/Documentation/*/*",
    "*/sound/*.[chS]",
    # Of drivers: base, char, tty, and those of net that are not hardware's.
    "*/drivers/[!bctn]*/*.[chS]",
    "*/drivers/net/*/*.[chS]",
)

Progress = Callable[[float], None]
"""Is told how much of a build is done, between 0 and 1."""

Fetch = Callable[[Path], Source]
"""Gets a source, using the folder it is given for what it downloads."""


def missing_tools() -> dict[str, str]:
    """The programs a build needs and this machine lacks, with the packages that bring them."""
    return {tool: package for tool, package in TOOLS.items() if shutil.which(tool) is None}


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


def expected_seconds() -> float:
    """An estimate of the time that a build takes on this machine, by the speed of a short loop."""
    return _EFFORT * min(_loop() for _ in range(3)) / processors()


def build(tarball: Fetch, progress: Progress) -> GuestKernel:
    """Build a kernel and put it into the cache; ``tarball`` fetches the source into a folder.

    Raises GuestError with the build's last words. What is not finished leaves nothing in the cache.
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
        run(unpack, place, "unpacking the source", packages.first_line)
        progress(_UNPACKED)
        version = ask("make", "-s", "-C", str(tree), "kernelversion").strip()
        require_version(version)
        before = recipe.texts(tree)
        seeded = make_seedable(tree)
        end_livelocks(tree)
        announce_ends(tree)
        read_without_calls(tree)
        make_room(tree)
        precompile(tree, version)
        make = [*recipe.MAKE, "-C", str(tree), f"-j{processors()}"]
        run([*make, "allnoconfig", f"KCONFIG_ALLCONFIG={cache.FRAGMENT}"], place, "configuring")
        require_options((tree / ".config").read_text(), version)
        for done, _ in enumerate(_lines([*make, "linux"], place)):
            progress(_UNPACKED + (1 - _UNPACKED) * min(done / _STEPS, 1.0))
        run(["strip", "-o", str(product / cache.PROGRAM), str(tree / "linux")], place, "stripping")
        made = Recipe(source.name, source.tarball, version, cache.FRAGMENT)
        recipe.write(product / recipe.FOLDER, made, tree, before)
        return cache.keep(product / cache.PROGRAM, source=source.name, version=version, seeded=seeded)


def processors() -> int:
    """The number of processors that a build uses."""
    return len(os.sched_getaffinity(0))


def _loop() -> float:
    """CPU seconds of a loop that this machine's speed is measured by."""
    begun = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number
    return time.process_time() - begun


def _lines(command: list[str], place: Path) -> Iterator[str]:
    """Run a command and give each line it prints; raises GuestError with the last if it fails."""
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for last in process.stdout:
            yield last
    if process.returncode:
        raise GuestError(f"building the kernel failed with exit code {process.returncode}: {last.strip()}")
