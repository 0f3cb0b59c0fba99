"""A batch in a process of its own, here and on a cluster's workers alike; whatever ends it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec

from halfopen.errors import InputError
from halfopen.grace.batch import Answer, Order
from halfopen.grace.model import Batched
from halfopen.netns.errors import GuestLostError

#: Seconds that an interrupted batch has to end by itself, before its guest is ended by the kernel's hand.
_PATIENCE = 10.0
#: How often it is asked whether to go on, seconds.
_INTERVAL = 0.5


class Interrupted(Exception):  # noqa: N818 (not an error)
    """A batch that was told to end."""


def run(order: Order, is_over: Callable[[], bool]) -> Answer:
    """Have a batch done and give what is said of it; raises Interrupted, all gone, once ``is_over``.

    Raises RuntimeError, with what was printed, for a bug. The thread that calls this must last as long as the call.
    """
    process = subprocess.Popen(
        # -P: a folder called harness where the user happens to be must not stand in for ours.
        [sys.executable, "-P", "-m", "halfopen.grace.batch", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Out of the terminal's reach: it is ended by us.
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
    return msgspec.json.decode(said, type=Answer)


def batched(answer: Answer) -> Batched:
    """What came of a batch; raises InputError for one that was refused, GuestLostError for a guest that was lost."""
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
            # It goes on where it was.
            unsent = None
    raise Interrupted


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt it, as by Ctrl-C, and wait until it is gone with all that it started."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
