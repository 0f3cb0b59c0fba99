"""Find the folder for a guest's memory: a file whose pages the guest's programs are run from."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
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
    named = os.environ.get("TMPDIR")
    # As an absolute path: the guest's command may start elsewhere.
    refusals = {folder: why_not(folder) for folder in ([Path(named).absolute()] if named else []) + USUAL}
    fitting = {folder: free(folder) for folder, refusal in refusals.items() if refusal is None}
    if not fitting:
        reasons = ", ".join(f"{folder} ({refusal})" for folder, refusal in refusals.items())
        raise GuestError(
            f"no folder is suitable for a guest's memory: {reasons}; "
            "name one with TMPDIR, or start the container with: --tmpfs /tmp:exec"
        )
    ample = [folder for folder, room in fitting.items() if room >= _AMPLE]
    return ample[0] if ample else max(fitting, key=lambda folder: fitting[folder])


def why_not(folder: Path) -> str | None:
    """Return the reason why this folder cannot hold a guest's memory; None if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(mmap.PAGESIZE)
            rwx = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
            with contextlib.suppress(PermissionError):
                mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_SHARED, rwx).close()
                return None
            return "mounted noexec"
    except OSError as error:
        return os.strerror(error.errno or 0).lower()


def free(folder: Path) -> int:
    """Return the bytes that may still be written to files in this folder (statvfs(3), f_bavail)."""
    return shutil.disk_usage(folder).free


def mount_point(folder: Path) -> Path:
    """Return the mount point of the file system that holds this folder."""
    return next(above for above in (folder, *folder.parents) if above.is_mount())
