"""The end of a process that was started for a run of pytest's."""

from __future__ import annotations

import contextlib
import subprocess

#: One that does not end by itself after this, seconds, is ended: the kernel takes what it started along.
_PATIENCE = 30.0


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """Close what it reads, which tells it to end, and wait until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
