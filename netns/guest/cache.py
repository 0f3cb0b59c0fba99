"""Guest kernels that are there: installed as a package, or kept in the user's cache.

In the cache each is in a folder named after what it was made of: its source, our configuration and our changes. An
installed one (the wheel halfopen-kernel) goes by the number of the recipe it was built by, so that it stays usable
when halfopen is upgraded, as long as labs can do with it.
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

from halfopen.netns.errors import GuestError
from halfopen.netns.guest import recipe
from halfopen.netns.guest.registers import why_not_stock

#: The configuration on top of allnoconfig (kernel.config beside this file).
FRAGMENT = Path(__file__).with_name("kernel.config")
#: What changes the source.
_CHANGES = tuple(
    Path(__file__).with_name(name)
    for name in ("seeding.py", "livelocks.py", "registers.py", "end_notices.py", "clock_reads.py", "headers.py")
)

#: The number of today's recipe: raised by one with each change of the configuration or the changes. It is the last
#: number of the version of a kernel's wheel.
RECIPE = 1
#: The oldest recipe with whose kernels labs work as they should: raised when they need what older kernels have not,
#: together with the lower bound of the extra ``halfopen[kernel]``.
OLDEST_RECIPE = 1

#: The package that an installed kernel is in.
PACKAGE = "halfopen_kernel"

#: What a kernel's folder holds: the program, and where it has modules, those, as in /lib/modules/VERSION.
PROGRAM = "linux"
MODULES = "modules"
_DESCRIPTION = "build.json"


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A kernel that is ready to boot."""

    program: Path
    version: str
    """The source's version, such as ``"6.1.192"``."""
    source: str
    """What it was built of, or unpacked from: a package with its version, or a file."""
    seeded: bool = True
    """Whether it can draw its random numbers from a seed."""
    time_travel: bool = True
    """Whether it has a virtual clock. One that we built has; the distribution's own has not."""
    recipe: int = 0
    """The number of the recipe it was built by; 0 if that had none yet, or it is the distribution's own."""

    @property
    def modules(self) -> Path:
        """The folder of its modules; there is none where everything is built in."""
        return self.program.with_name(MODULES)


def folder() -> Path:
    """The user's cache folder for kernels (XDG Base Directory Specification); raises GuestError if there is no home."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "halfopen" / "kernels"
    try:
        return Path.home() / ".cache" / "halfopen" / "kernels"
    except RuntimeError:  # a container's user without an entry in /etc/passwd, and no HOME
        raise GuestError("this user has no home to keep guest kernels in; name a folder with XDG_CACHE_HOME") from None


def key(source: str, *, time_travel: bool = True) -> str:
    """What tells a kernel from all others: a hash of its source and, if built, of our configuration and changes."""
    ours = [b"the distribution's own"]
    if time_travel:
        ours = [*(path.read_bytes() for path in (FRAGMENT, *_CHANGES)), shlex.join(recipe.MAKE).encode()]
    return hashlib.sha256(b"\0".join((source.encode(), *ours))).hexdigest()[:16]


def find(source: str, *, time_travel: bool = True) -> GuestKernel | None:
    """The kernel built of ``source`` with today's configuration, or unpacked from it; None if there is none."""
    return _read(folder() / key(source, time_travel=time_travel))


def installed() -> GuestKernel | None:
    """The kernel of an installed halfopen-kernel, None if none is installed or it is too old."""
    found = installed_at_all()
    return found if found and found.recipe >= OLDEST_RECIPE else None


def installed_at_all() -> GuestKernel | None:
    """The kernel of an installed halfopen-kernel, even one that is too old."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return _read(Path(places[0])) if places else None


def too_old() -> str | None:
    """A notice, which names the remedy, that the installed kernel is too old; None if there is none, or it is not."""
    found = installed_at_all()
    if found is None or found.recipe >= OLDEST_RECIPE:
        return None
    return (
        f"halfopen-kernel {wheel_version(found)} is too old for this halfopen; "
        "upgrade it with: pip install --upgrade 'halfopen[kernel]'"
    )


def wheel_version(kernel: GuestKernel) -> str:
    """The version of a kernel's wheel: that of Linux, and the number of the recipe."""
    return f"{kernel.version}.{kernel.recipe}"


def newest() -> GuestKernel | None:
    """The kernel for a virtual clock: the installed one, else the newest built; None if there is none."""
    return installed() or built()


def built() -> GuestKernel | None:
    """The newest kernel in the cache built with today's configuration, None if there is none."""
    return _newest(time_travel=True)


def fetched() -> GuestKernel | None:
    """The newest kernel of the distribution's own, None if there is none."""
    return _newest(time_travel=False)


def best(*, virtual: bool) -> GuestKernel | None:
    """The kernel to boot for a virtual or a real clock, None if there is none that runs on this machine.

    For a real clock, too, one that we built: it starts sooner and has what the lab needs built in.
    """
    return newest() or (None if virtual or why_not_stock() else fetched())


def _newest(*, time_travel: bool) -> GuestKernel | None:
    try:
        places = list(folder().glob("*"))
    except GuestError:
        return None
    kernels = [kernel for kernel in map(_read, places) if kernel and _is_current(kernel)]
    fitting = [kernel for kernel in kernels if kernel.time_travel == time_travel]
    return max(fitting, key=lambda kernel: numbers(kernel.version), default=None)


def _is_current(kernel: GuestKernel) -> bool:
    return kernel.program.parent.name == key(kernel.source, time_travel=kernel.time_travel)


def numbers(version: str) -> list[int]:
    """A version to compare by: ``"6.12.3"`` is ``[6, 12, 3]``."""
    return [int(part) for part in version.split(".") if part.isdigit()]


def _read(place: Path) -> GuestKernel | None:
    try:
        described = json.loads((place / _DESCRIPTION).read_text())
        # Kernels built before there were others do not say.
        travels = described.get("time_travel", True)
        return GuestKernel(
            place / PROGRAM,
            described["version"],
            described["source"],
            described["seeded"],
            travels,
            described.get("recipe", 0),
        )
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder in the cache to work in, gone when the context is left; a killed one's is taken away later."""
    root = folder() / "under-construction"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        if not _is_alive(left.name.partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=root) as place:
        yield Path(place)


def _is_alive(pid: str) -> bool:
    return Path("/proc", pid).exists()


def keep(program: Path, *, source: str, version: str, seeded: bool = True, time_travel: bool = True) -> GuestKernel:
    """Move a program, and all that is beside it, into the cache, whole or not at all.

    Of two that are kept at the same moment, the first stays: they were made of the same.
    """
    assert program.name == PROGRAM, program
    place = folder() / key(source, time_travel=time_travel)
    kernel = GuestKernel(place / PROGRAM, version, source, seeded, time_travel, RECIPE if time_travel else 0)
    described = {name: value for name, value in asdict(kernel).items() if name != "program"}
    (program.parent / _DESCRIPTION).write_text(json.dumps(described))
    with workplace() as aside:
        # In one step: taken away piece by piece, it might be another's that has just come in its place.
        with contextlib.suppress(FileNotFoundError):
            place.rename(aside / "replaced")
        try:
            program.parent.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    return kernel
