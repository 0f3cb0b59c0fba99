"""Available guest kernels: installed as a package, or kept in the user's cache.

In the cache the name of each kernel's folder is a hash of its source, our configuration and our changes. An installed
one (the wheel halfopen-kernel) is identified by the number of its recipe. So it stays usable when halfopen is upgraded,
as long as it is enough for labs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from halfopen.netns.guest import recipe
from halfopen.netns.lab_errors import GuestError

#: Number of the current recipe, raised by one with each change of the configuration or the changes. It is the last
#: number of the version of a kernel's wheel.
RECIPE = 2
#: Oldest recipe whose kernels labs work with. Raise it when labs need a feature that older kernels lack, together with
#: the lower bound of the extra ``halfopen[kernel]``.
OLDEST_RECIPE = 1

#: Package of an installed kernel.
PACKAGE = "halfopen_kernel"

#: Contents of a kernel's folder.
PROGRAM = "linux"
_DESCRIPTION = "build.json"


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A kernel that is ready to boot."""

    program: Path
    version: str
    """The source's version, such as ``"6.1.192"``."""
    source: str
    """Origin of the kernel: a package with its version, or a file."""
    seeded: bool = True
    """True if it can draw its random numbers from a seed."""
    recipe: int = 0
    """Number of the recipe it was built by; 0 if that had none yet."""


def folder() -> Path:
    """Return the user's cache folder for kernels (XDG Base Directory Specification); raises GuestError if no home."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "halfopen" / "kernels"
    try:
        return Path.home() / ".cache" / "halfopen" / "kernels"
    except RuntimeError:  # a container's user without an entry in /etc/passwd, and no HOME
        raise GuestError("no folder for guest kernels: this user has no home; name one with XDG_CACHE_HOME") from None


def key(source: str) -> str:
    """Return a kernel's unique key: a hash of its source, our configuration and our changes."""
    patches = [Path(str(patch.__file__)).read_bytes() for patch in recipe.PATCHES]
    parts = (source.encode(), recipe.FRAGMENT.read_bytes(), *patches, shlex.join(recipe.MAKE).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def find(source: str) -> GuestKernel | None:
    """Return the kernel built from ``source`` with the current configuration; None if missing."""
    return _read(folder() / key(source))


def installed() -> GuestKernel | None:
    """Return the kernel of an installed halfopen-kernel; None if it is missing or too old."""
    kernel = _of_package()
    return None if kernel is None or _is_too_old(kernel) else kernel


def _is_too_old(kernel: GuestKernel) -> bool:
    return kernel.recipe < OLDEST_RECIPE


def _of_package() -> GuestKernel | None:
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return _read(Path(places[0])) if places else None


def too_old() -> str | None:
    """Return a notice that the installed kernel is too old, with the remedy; None if it is missing or new enough."""
    kernel = _of_package()
    if kernel is None or not _is_too_old(kernel):
        return None
    return (
        f"halfopen-kernel {wheel_version(kernel)} is too old for this halfopen; "
        "upgrade it with: pip install --upgrade 'halfopen[kernel]'"
    )


def wheel_version(kernel: GuestKernel) -> str:
    """Return the version of a kernel's wheel: that of Linux, and the number of the recipe."""
    return f"{kernel.version}.{kernel.recipe}"


def newest() -> GuestKernel | None:
    """Return the kernel to boot: the installed one, else the newest built; None if there is none."""
    return installed() or built()


def built() -> GuestKernel | None:
    """Return the newest kernel in the cache built with the current configuration; None if there is none."""
    try:
        places = list(folder().glob("*"))
    except GuestError:
        return None
    kernels = [kernel for kernel in map(_read, places) if kernel and kernel.program.parent.name == key(kernel.source)]
    return max(kernels, key=lambda kernel: numbers(kernel.version), default=None)


def numbers(version: str) -> list[int]:
    """Return a version for comparisons: ``"6.12.3"`` is ``[6, 12, 3]``."""
    return [int(part) for part in version.split(".") if part.isdigit()]


def _read(place: Path) -> GuestKernel | None:
    try:
        described = json.loads((place / _DESCRIPTION).read_text())
        return GuestKernel(
            place / PROGRAM,
            described["version"],
            described["source"],
            described["seeded"],
            described.get("recipe", 0),
        )
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Yield a temporary folder in the cache, deleted on exit; those of killed processes are deleted later."""
    root = folder() / "under-construction"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        if not Path("/proc", left.name.partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=root) as place:
        yield Path(place)


def keep(program: Path, *, source: str, version: str, seeded: bool = True) -> GuestKernel:
    """Move a program, with all files beside it, into the cache atomically.

    If two processes do so at once, the first kernel stays: both were made from the same parts.
    """
    assert program.name == PROGRAM, program
    place = folder() / key(source)
    kernel = GuestKernel(place / PROGRAM, version, source, seeded, RECIPE)
    described = {name: value for name, value in asdict(kernel).items() if name != "program"}
    (program.parent / _DESCRIPTION).write_text(json.dumps(described))
    with workplace() as aside:
        # In one step. A deletion file by file might hit the folder of another process that has just replaced it.
        with contextlib.suppress(FileNotFoundError):
            place.rename(aside / "replaced")
        try:
            program.parent.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    return kernel
