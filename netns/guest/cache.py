"""Where guest kernels are kept: in the user's cache, each in a folder named after what it was built of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from netns.guest import seeding

#: The configuration on top of allnoconfig (kernel.config beside this file).
FRAGMENT = Path(__file__).with_name("kernel.config")

_DESCRIPTION = "build.json"
_PROGRAM = "linux"


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A kernel that is ready to boot."""

    program: Path
    version: str
    """The source's version, such as ``"6.1.192"``."""
    source: str
    """What it was built of: a package with its version, or a file."""
    seeded: bool = True
    """Whether it can draw its random numbers from a seed."""


def folder() -> Path:
    """The user's cache folder for kernels (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "halfopen" / "kernels"


def key(source: str) -> str:
    """What tells a kernel from all others: a hash of its source, of our configuration, and of our change to it."""
    parts = (source.encode(), FRAGMENT.read_bytes(), Path(seeding.__file__).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def find(source: str) -> GuestKernel | None:
    """The kernel built of ``source`` with today's configuration, None if there is none."""
    return _read(folder() / key(source))


def newest() -> GuestKernel | None:
    """The newest kernel built with today's configuration, None if there is none."""
    kernels = [kernel for kernel in map(_read, folder().glob("*")) if kernel and _is_current(kernel)]
    return max(kernels, key=lambda kernel: _numbers(kernel.version), default=None)


def _is_current(kernel: GuestKernel) -> bool:
    return kernel.program.parent.name == key(kernel.source)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _read(place: Path) -> GuestKernel | None:
    try:
        described = json.loads((place / _DESCRIPTION).read_text())
        return GuestKernel(place / _PROGRAM, described["version"], described["source"], described["seeded"])
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder in the cache to build in, gone when the context is left; a killed build's is taken away later."""
    root = folder() / "under-construction"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        if not _is_alive(left.name.partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=root) as place:
        yield Path(place)


def _is_alive(pid: str) -> bool:
    return Path("/proc", pid).exists()


def keep(program: Path, *, source: str, version: str, seeded: bool = True) -> GuestKernel:
    """Move a built program into the cache, whole or not at all."""
    kernel = GuestKernel(folder() / key(source) / _PROGRAM, version, source, seeded)
    described = {name: value for name, value in asdict(kernel).items() if name != "program"}
    (program.parent / _DESCRIPTION).write_text(json.dumps(described))
    assert program.name == _PROGRAM, program
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(kernel.program.parent)
    program.parent.rename(kernel.program.parent)
    return kernel
