"""The end of a process that was started for a pytest run."""

from __future__ import annotations

import contextlib
import subprocess

#: Seconds for a process to end by itself before it is killed. The kernel then ends what it started.
_PATIENCE = 30.0


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """Close the input of ``process``, its signal to end, and wait until it has."""
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
