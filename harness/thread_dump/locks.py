"""Infer which thread holds the lock that another waits for, from each thread's place in the source. Pure.

A frame inside the body of ``with self.mutex:`` holds that lock. A thread waits for it if its innermost frame is at that
line itself and the kernel shows it waiting at a futex. The frame's locals identify the object. Doubtful cases are left
out (halfopen.thread_dump.source), so a lock may be held without being reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from halfopen.thread_dump.frames import Lock
from halfopen.thread_dump.pyspy import LocalVariable, PythonFrame
from halfopen.thread_dump.source import SourceFile

#: Names of locks. No block, no clock, nothing unlocked.
_LOCK_LIKE = re.compile(r"(?<![bc])(?<!un)lock|mutex|condition|(^|_)(cond|cv)$", re.IGNORECASE)
#: py-spy's format of an object: its type and address.
_SHOWN = re.compile(r"<(?P<type>[\w.]+)( object)? at 0x[0-9a-f]+>")
#: Waiting for a condition releases its lock. That is also the caller's lock if the condition was made with it.
_WAITING = ("wait", "wait_for")
#: Python's own helpers between ``with lock:`` and the kernel.
_TAKING = ("__enter__", "acquire")


@dataclass(frozen=True, slots=True)
class Stack:
    """A thread's frames, innermost first, and whether the kernel shows it waiting as for a lock (None: unknown)."""

    frames: Sequence[PythonFrame]
    awaits_futex: bool | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A lock as written in one line of source. ``sure`` is true if its name or type is that of a lock."""

    lock: Lock
    sure: bool


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks that one thread holds and waits for."""

    holds: tuple[Lock, ...]
    waits_for: Lock | None


Sources = Callable[[str], SourceFile | None]
"""Returns a file as it runs; None if it cannot be read, or has changed since."""


def infer(stacks: Sequence[Stack], sources: Sources) -> list[Locks]:
    """Return the locks that each of a process's threads holds and waits for."""
    held = [_held(stack.frames, sources) for stack in stacks]
    awaited = [_awaited(stack, sources) for stack in stacks]
    wanted = {claim.lock for claim in awaited if claim}
    had = {claim.lock for claims in held for claim in claims}
    found = []
    for stack, claims, wait in zip(stacks, held, awaited, strict=True):
        # If neither the name nor the kernel is sure, another thread that holds the lock may settle it.
        meant = wait is not None and (wait.lock in had or (wait.sure and stack.awaits_futex is True))
        holds = dict.fromkeys(claim.lock for claim in claims if claim.sure or claim.lock in wanted)
        waits_for = wait.lock if wait and meant and wait.lock not in holds else None
        found.append(Locks(tuple(holds), waits_for))
    return found


def _held(frames: Sequence[PythonFrame], sources: Sources) -> list[Claim]:
    """Return the locks held by a thread, the outermost first."""
    found = []
    for frame in reversed(frames[_freed(frames) :]):
        source = sources(frame.filename)
        written = source.held_at(frame.name, frame.line) if source else []
        found += [claim for lock in written if source and (claim := _claim(lock, frame, source))]
    return found


def _freed(frames: Sequence[PythonFrame]) -> int:
    """Return how many innermost frames to leave out, since waiting for a condition releases locks."""
    own = 0
    while own < len(frames) and _of_threading(frames[own]):
        own += 1
    if not any(_last(frame) in _WAITING for frame in frames[:own]):
        return 0
    outermost = frames[own - 1].name
    if "." in outermost and not outermost.startswith("Condition."):
        return own  # an event, a barrier, a semaphore: its condition's lock is nobody else's
    within_queue = own < len(frames) and PurePath(frames[own].filename).name == "queue.py"
    return own + 1 if within_queue else len(frames)


def _awaited(stack: Stack, sources: Sources) -> Claim | None:
    if stack.awaits_futex is False:
        return None
    frames = list(stack.frames)
    while frames and _of_threading(frames[0]) and _last(frames[0]) in _TAKING:
        frames.pop(0)
    if not frames or _of_threading(frames[0]):
        return None
    source = sources(frames[0].filename)
    written = source.taken_at(frames[0].name, frames[0].line) if source else None
    return _claim(written, frames[0], source) if source and written else None


def _of_threading(frame: PythonFrame) -> bool:
    return PurePath(frame.filename).name == "threading.py"


def _last(frame: PythonFrame) -> str:
    return frame.name.rpartition(".")[2]


def _claim(written: str, frame: PythonFrame, source: SourceFile) -> Claim | None:
    """Return a lock as written in a frame; None if its object cannot be identified."""
    root, _, path = written.partition(".")
    local = next((local for local in frame.locals or () if local.name == root), None)
    if local is not None:
        lock = Lock(path or root, _shown(local))
        return Claim(lock, _is_lock(path, local))
    if not source.is_global(root, frame.line):
        return None
    return Claim(Lock(written, frame.filename), bool(_LOCK_LIKE.search(written.rpartition(".")[2])))


def _is_lock(path: str, local: LocalVariable) -> bool:
    """True if an object is a lock, by its type if that is shown. Of an attribute only the name is known."""
    if path:
        return bool(_LOCK_LIKE.search(path.rpartition(".")[2]))
    shown = _SHOWN.fullmatch(local.repr or "")
    return bool(_LOCK_LIKE.search(shown["type"] if shown else local.name))


def _shown(local: LocalVariable) -> str:
    shown = _SHOWN.fullmatch(local.repr or "")
    return f"{shown['type'] if shown else 'object'} at {local.addr:#x}"
