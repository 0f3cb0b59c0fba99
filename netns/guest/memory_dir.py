"""Find the folder for a guest's memory: a file whose pages the guest's programs are run from."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

from halfopen.netns.lab_errors import GuestError

#: Free bytes that always suffice: the most that one of the tool's guests may need.
_AMPLE = 1 << 30
#: Folders to try; memory first, since a disk has to write out the guest's pages.
USUAL = [Path("/dev/shm"), Path("/tmp"), Path("/var/tmp")]  # noqa: S108


def choose() -> Path:
    """Return the first folder with ample space, or the one with the most: $TMPDIR, /dev/shm, /tmp, /var/tmp.

    Raises GuestError, with the problem of each, if none is suitable. A kernel maps its memory for programs to run from
    (check_tmpexec in arch/um/os-Linux/mem.c), which a file system mounted noexec refuses.
    """
    refusals, fitting = {}, {}
    for folder in _candidates():
        refusal = why_not(folder)
        if refusal is None:
            fitting[folder] = free(folder)
        else:
            refusals[folder] = refusal
    if not fitting:
        reasons = ", ".join(f"{folder} ({refusal})" for folder, refusal in refusals.items())
        raise GuestError(
            f"there is no folder that a guest's memory could be in: {reasons}; "
            "name one with TMPDIR, or give the container one with: --tmpfs /tmp:exec"
        )
    ample = [folder for folder, room in fitting.items() if room >= _AMPLE]
    return ample[0] if ample else max(fitting, key=lambda folder: fitting[folder])


def _candidates() -> list[Path]:
    named = os.environ.get("TMPDIR")
    # As an absolute path: the guest's command may start elsewhere.
    return [*([Path(named).absolute()] if named else []), *USUAL]


def why_not(folder: Path) -> str | None:
    """Return the reason why this folder cannot hold a guest's memory; None if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(mmap.PAGESIZE)
            return _why_not_executable(file.fileno())
    except OSError as error:
        return os.strerror(error.errno or 0).lower()


def _why_not_executable(fd: int) -> str | None:
    try:
        mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except PermissionError:
        return "mounted noexec"
    return None


def free(folder: Path) -> int:
    """Return the bytes that may still be written to files in this folder (statvfs(3), f_bavail)."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def mount_point(folder: Path) -> Path:
    """Return the mount point of the file system that holds this folder."""
    return next(above for above in (folder, *folder.parents) if above.is_mount())
