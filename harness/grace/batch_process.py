"""Run a batch in a process of its own, here or on a cluster's worker. However it ends, it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec

from halfopen.errors import InputError
from halfopen.grace.batch import BatchAnswer, BatchOrder
from halfopen.grace.sweep import BatchResult
from halfopen.netns.lab_errors import GuestLostError

#: Seconds for an interrupted batch to end by itself, before it is killed and the kernel ends its guest.
_PATIENCE = 10.0
#: Seconds between two checks of ``is_over``.
_INTERVAL = 0.5


class Interrupted(Exception):  # noqa: N818 (not an error)
    """Raised for a batch that was asked to end."""


def run(order: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
    """Run a batch and return its result. Once ``is_over``, end all of its processes and raise Interrupted.

    Raises RuntimeError with the printed errors for a bug. The calling thread must last as long as the call.
    """
    process = subprocess.Popen(
        # -P: a folder called harness in the user's working directory must not stand in for ours.
        [sys.executable, "-P", "-m", "halfopen.grace.batch", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Signals from the terminal must not reach it. This process ends it.
        start_new_session=True,
    )
    with process:
        try:
            said, errors = _talk(process, msgspec.json.encode(order), is_over)
        except BaseException:
            _end(process)
            raise
    if process.returncode or not said:
        story = errors.decode(errors="replace").strip()
        raise RuntimeError(f"batch {order.batch.number} ended with exit code {process.returncode}: {story}")
    return msgspec.json.decode(said, type=BatchAnswer)


def batched(answer: BatchAnswer) -> BatchResult:
    """Return the result of a batch. Raises InputError if it was refused, GuestLostError if its guest was lost."""
    if answer.batched is not None:
        return answer.batched
    if answer.lost is not None:
        raise GuestLostError(answer.lost)
    raise InputError(answer.refused or "a batch was refused")


def _talk(process: subprocess.Popen[bytes], text: bytes, is_over: Callable[[], bool]) -> tuple[bytes, bytes]:
    unsent: bytes | None = text
    while not is_over():
        try:
            return process.communicate(unsent, timeout=_INTERVAL)
        except subprocess.TimeoutExpired:
            # The next call continues to send the same input.
            unsent = None
    raise Interrupted


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process as Ctrl-C would, and wait until it is gone with all that it started."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
