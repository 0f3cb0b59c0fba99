"""Where the batches that are done are kept, so that a sweep can be stopped at any moment and resumed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import harness
from harness.errors import InputError
from harness.grace.model import Batched, Sweep

FILE = "grace-batches.jsonl"


class Head(msgspec.Struct, frozen=True):
    """The first line: whose batches these are."""

    fingerprint: str
    settings: dict[str, Any]
    """What the sweep was asked for, for whoever asks for another one to be told what differs."""


class Store:
    """The batches of one sweep that are done, on disk and in memory."""

    def __init__(self, file: int, done: dict[int, Batched]) -> None:
        self._file = file
        self.done = done
        """By their numbers."""

    def append(self, batched: Batched) -> None:
        """Keep one more; what is cut off, if this process is killed meanwhile, is done again. Raises InputError."""
        if batched.number in self.done:
            return
        _write(self._file, batched)
        self.done[batched.number] = batched


@contextlib.contextmanager
def opened(out: Path, sweep: Sweep, *, resume: bool) -> Iterator[Store]:
    """The store in the folder ``out``, nobody else's until the context is left; with ``resume`` as it was.

    Raises InputError for another sweep's batches, for a store that is in use, and for what cannot be written or read.
    """
    path = out / FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        _lock(file, path)
        done = _resumed(file, path, sweep) if resume else None
        if done is None:
            done = {}
            os.ftruncate(file, 0)
            _write(file, Head(sweep.fingerprint, settings(sweep)))
        yield Store(file, done)
    finally:
        os.close(file)


def seed(out: Path) -> int | None:
    """The seed of the sweep that is kept in the folder ``out``; None where none is."""
    try:
        with (out / FILE).open("rb") as file:
            found = msgspec.json.decode(file.readline(), type=Head).settings.get("seed")
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, int) else None


def _write(file: int, line: Head | Batched) -> None:
    try:
        os.write(file, msgspec.json.encode(line) + b"\n")
    except OSError as error:
        raise InputError(f"cannot write {FILE}: {(error.strerror or str(error)).lower()}") from None


def settings(sweep: Sweep) -> dict[str, Any]:
    """What a sweep is asked for, in the words of the command line, and of its draws as much as tells them apart."""
    return {
        "seed": sweep.seed,
        "target": sweep.target.name,
        "contenders": [contender.label for contender in sweep.contenders],
        "grace argument": sweep.grace_argument,
        "draws": len(sweep.draws),
        "confirm": sweep.confirm,
        "halfopen": harness.__version__,
    }


def _lock(file: int, path: Path) -> None:
    try:
        os.lockf(file, os.F_TLOCK, 0)
    except OSError:
        raise InputError(f"{path} is being written by another halfopen; wait for it, or name another --out") from None


def _resumed(file: int, path: Path, sweep: Sweep) -> dict[int, Batched] | None:
    """The batches there, without a last line that was cut off; None if there is nothing to resume."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if not whole:
        return None
    head, *lines = whole.splitlines()
    try:
        _require_same(msgspec.json.decode(head, type=Head), path, sweep)
        done = {batched.number: batched for batched in (msgspec.json.decode(line, type=Batched) for line in lines)}
    except msgspec.DecodeError as error:
        raise InputError(f"{path} is no file of this tool's: {error}; leave out --resume to begin anew") from None
    os.ftruncate(file, len(whole))
    return done


def _require_same(head: Head, path: Path, sweep: Sweep) -> None:
    mine = Head(sweep.fingerprint, settings(sweep))
    if head == mine:
        return
    differing = [name for name, value in mine.settings.items() if head.settings.get(name) != value]
    if differing:
        name = differing[0]
        what = f"{name} {_said(head.settings.get(name))}, not {_said(mine.settings[name])}"
    else:
        what = "other draws of the same number (another mix), or another target"
    raise InputError(f"{path} is of another sweep: it has {what}; ask for the same again, or leave out --resume")


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
