"""Run a module of ours in a guest. It gets its task in a file, and sends typed messages, one JSON line each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from halfopen.netns.guest import booting
from halfopen.netns.guest.machine import Machine
from halfopen.netns.guest.script import Boot
from halfopen.spawn import peers

_TASK = "part.json"
_MEMORY = 2 << 30
#: Most bytes read at once.
_PIECE = 1 << 16


@dataclasses.dataclass(slots=True)
class GuestPeer:
    """A module that runs in a guest."""

    machine: Machine
    folder: Path
    """Folder that both sides see."""
    exit_code: int | None
    """Exit code of the module, once ``receive`` has returned None."""
    _boot: Boot
    _kind: Any
    _output: int
    """File descriptor of the guest's output."""
    _unread: bytes = b""

    def receive(self, until: float) -> Any:
        """Return the next message; None once the module has exited.

        Raises GuestLostError, also when the monotonic clock reaches ``until``, and ForeignError for a bug in it.
        """
        while b"\n" not in self._unread:
            if not (piece := self._read(until)):
                # The last line is cut off if the module was killed.
                self.exit_code = booting.exit_code(self.machine, self._boot, until)
                return None
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return peers.decode(line, self._kind)

    def _read(self, until: float) -> bytes:
        """Return more of its output; nothing once the module or the guest has ended, or the time is over."""
        while True:
            ready = select.select([self._output, self.machine.from_guest], [], [], max(0.0, until - time.monotonic()))[
                0
            ]
            if self._output in ready and (piece := os.read(self._output, _PIECE)):
                return piece
            if not ready:
                return b""
            if self.machine.has_ended():
                # Its output was all written before that, but perhaps after it was polled here.
                return os.read(self._output, _PIECE) if select.select([self._output], [], [], 0)[0] else b""


@contextlib.contextmanager
def guest_peer(boot: Boot, task: msgspec.Struct, kind: Any, place: Path) -> Iterator[GuestPeer]:
    """Run a module in a guest until the context is left. Its command is called with the shared folder.

    The guest's files are in ``place``; its messages are of this ``kind``.
    """
    folder = place / "part"
    folder.mkdir(parents=True)
    (folder / _TASK).write_bytes(msgspec.json.encode(task))
    boot = dataclasses.replace(
        boot,
        command=[*boot.command, str(folder)],
        writable=[folder, *boot.writable],
        memory=_MEMORY,
        # The order of sets and dicts is drawn from the seed too.
        environment={"PYTHONHASHSEED": str((boot.seed or 0) % 2**32)},
    )
    read, write = booting.output_pipe()
    with (
        os.fdopen(read, "rb") as output,
        os.fdopen(write, "wb") as pipe,
        booting.start(boot, place, pipe.fileno()) as machine,
    ):
        # From here on only the guest holds it, so that it ends with the guest.
        pipe.close()
        yield GuestPeer(machine, folder, None, boot, kind, output.fileno())


def task_in(folder: Path, kind: type[Any]) -> Any:
    """Return the task in the folder that a module in a guest is called with."""
    return msgspec.json.decode((folder / _TASK).read_bytes(), type=kind)
