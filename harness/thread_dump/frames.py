"""Threads of a process: each one's place in the program, its kernel call, the locks it holds and waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class ThreadsError(Exception):
    """Nothing at all can be read of a process: it is gone, or another user's. One line says which."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call that has not returned yet."""

    function: str
    """Name in the language's own form, such as ``Connection.send_data`` (before Python 3.11 without the class)."""
    file: str
    line: int
    source: str
    """Text of the line; empty if the file cannot be read here."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, identified by the object it belongs to. Equal values are the same lock."""

    name: str
    """Name in the source, without its owner: ``protocol_mutex``."""
    of: str
    """Its owner: ``ServerConnection at 0x7f75626dea10``, or the file for a global lock."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread. Its locks are inferred from the source, not read from the locks themselves (see locks.py)."""

    tid: int
    """Its id in the pid namespace that /proc shows here."""
    name: str
    doing: str
    """Its kernel call, such as ``sendto on socket 10.0.0.1:80 -> 10.0.0.2:5060``, or else its state."""
    frames: tuple[Frame, ...] = ()
    """The outermost first; empty if they cannot be read."""
    holds: tuple[Lock, ...] = ()
    waits_for: Lock | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """The threads of a process at one moment."""

    pid: int
    how: Literal["py-spy", "proc"]
    """Source of the dump: py-spy, with frames, or the kernel alone."""
    why_not: str | None
    """Reason why only the kernel was asked, in one line."""
    threads: tuple[Thread, ...]
