"""The finished batches of a sweep on disk, so that it can be stopped at any moment and resumed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

import halfopen
from halfopen.errors import InputError, reason_of
from halfopen.grace.sweep import BATCH_SIZE, Batch, BatchResult, Sweep

FILE = "grace-batches.jsonl"
#: The file of an earlier sweep, kept when another begins in its place.
OLD = f"{FILE}.old"


class SweepHeader(msgspec.Struct, frozen=True):
    """The first line: the sweep that these batches were begun for."""

    settings: dict[str, Any]
    """The settings that all batches share, in the words of the command line. Errors name those that differ."""


class StoredBatch(msgspec.Struct, frozen=True):
    """Each further line."""

    batch: str
    """The fingerprint of the batch. In any sweep the same fingerprint has the same result."""
    batched: BatchResult


class Store:
    """The finished batches of one sweep, on disk and in memory."""

    def __init__(
        self, file: int, path: Path, batches: Sequence[Batch], known: Mapping[str, BatchResult], before: Path | None
    ) -> None:
        self._file = file
        self._path = path
        self.batches = batches
        """All batches of the sweep."""
        self.done = {
            batch.number: msgspec.structs.replace(known[fingerprint], number=batch.number)
            for batch in batches
            if (fingerprint := batch.fingerprint) in known
        }
        """The finished batches by their numbers."""
        self.before = before
        """The file with an earlier sweep's batches that made way for this one; None if there were none."""

    @property
    def todo(self) -> list[Batch]:
        """The unfinished batches, in the best order to run."""
        return [batch for batch in self.batches if batch.number not in self.done]

    def append(self, batched: BatchResult) -> None:
        """Keep one more result. If this process is killed meanwhile, a partial line is run again. Raises InputError."""
        if batched.number not in self.done:
            _write(self._file, self._path, StoredBatch(self.batches[batched.number].fingerprint, batched))
            self.done[batched.number] = batched


@contextlib.contextmanager
def opened(out: Path, sweep: Sweep, *, resume: bool, check: Callable[[], None] = lambda: None) -> Iterator[Store]:
    """Open and lock the store in the folder ``out`` until the context is left; with ``resume``, keep its content.

    The content may come from a sweep with more or fewer draws. All batches that this sweep shares with it count as
    done. Raises InputError if it shares none, if the store is in use, and if it cannot be written or read. ``check`` is
    called before any existing file is changed, so that a refusal costs nothing.
    """
    path = out / FILE
    settings = {
        "seed": sweep.seed,
        "target": sweep.target.name,
        "candidates": [candidate.label for candidate in sweep.candidates],
        "grace argument": sweep.grace_argument,
        "confirm": sweep.confirm,
        "halfopen": halfopen.__version__,
    }
    with contextlib.ExitStack() as locks:
        file = _locked(path, locks)
        known = _resumed(file, path, settings) if resume else None
        batches = sweep.batches()
        if known and not any(batch.fingerprint in known for batch in batches):
            raise _of_another(path, f"no whole batch of {BATCH_SIZE} of these draws (other mix or target, or too few)")
        check()
        before = None
        if known is None:
            before = _put_aside(file, path)
            # The file that was put aside stays locked too, so that nobody who opened it earlier continues with it.
            file = file if before is None else _locked(path, locks)
            os.ftruncate(file, 0)
            _write(file, path, SweepHeader(settings))
        yield Store(file, path, batches, known or {}, before)


def seed(out: Path) -> int | None:
    """Return the seed of the sweep in the folder ``out``; None if there is none."""
    try:
        with (out / FILE).open("rb") as file:
            number = msgspec.json.decode(file.readline(), type=SweepHeader).settings.get("seed")
    except (OSError, msgspec.DecodeError):
        return None
    return number if isinstance(number, int) else None


def _locked(path: Path, locks: contextlib.ExitStack) -> int:
    """Open the file, or create it, and lock it until ``locks`` is left; raises InputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason_of(error)}") from None
    locks.callback(os.close, file)
    try:
        os.lockf(file, os.F_TLOCK, 0)
    except OSError:
        raise InputError(f"{path} is being written by another halfopen; wait for it, or name another --out") from None
    return file


def _read(file: int) -> bytes:
    """Read the file by this descriptor: closing any other one for the file would release the lock (lockf(3))."""
    with open(file, "rb", closefd=False) as reader:
        reader.seek(0)
        return reader.read()


def _put_aside(file: int, path: Path) -> Path | None:
    """Rename a file with batches, perhaps hours of work, and return its new name; None if it has no batches.

    A file that was put aside earlier stays. It may be the larger one.
    """
    _, _, batches = _read(file).partition(b"\n")
    if not batches:
        return None
    try:
        names = (path.with_name(f"{OLD}{nth if nth > 1 else ''}") for nth in itertools.count(1))
        return path.rename(next(name for name in names if not name.exists()))
    except OSError as error:
        raise InputError(
            f"cannot keep {path} as {OLD}: {reason_of(error)}; go on with it by --resume, or name another --out"
        ) from None


def _write(file: int, path: Path, line: SweepHeader | StoredBatch) -> None:
    """Append a whole line or nothing. If the disk is full, write(2) may write a part and still succeed."""
    text = msgspec.json.encode(line) + b"\n"
    try:
        size = os.fstat(file).st_size
        if os.write(file, text) < len(text):
            os.ftruncate(file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason_of(error)}; make room, then go on with --resume") from None


def _resumed(file: int, path: Path, settings: Mapping[str, Any]) -> dict[str, BatchResult] | None:
    """Return the batches in the file without a partial last line; None if there is nothing to resume."""
    text = _read(file)
    whole = text[: text.rfind(b"\n") + 1]
    if not whole:
        return None
    head, *lines = whole.splitlines()
    try:
        stored = msgspec.json.decode(head, type=SweepHeader).settings
        for name, value in settings.items():
            if stored.get(name) != value:
                raise _of_another(path, f"{name} {_shown(stored.get(name))}, not {_shown(value)}")
        batches = [msgspec.json.decode(line, type=StoredBatch) for line in lines]
    except msgspec.DecodeError as error:
        raise InputError(f"{path} is not a file of halfopen: {error}; leave out --resume to start again") from None
    os.ftruncate(file, len(whole))
    return {line.batch: line.batched for line in batches}


def _of_another(path: Path, what: str) -> InputError:
    return InputError(f"{path} is of another sweep: it has {what}; ask for the same again, or leave out --resume")


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
