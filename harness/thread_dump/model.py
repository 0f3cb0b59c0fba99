"""What is known of a process's threads: where each is, what it asks of the kernel, which locks it has and awaits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class ThreadsError(Exception):
    """Nothing at all can be had of a process: it is gone, or another user's. One line says which."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call that has not returned yet."""

    function: str
    """As the language names it, such as ``Connection.send_data`` (before Python 3.11 without the class)."""
    file: str
    line: int
    source: str
    """The line's text; empty where the file cannot be read here."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock, told apart from others by the object that it belongs to. Equal locks are the same one."""

    name: str
    """As the source calls it, without what it belongs to: ``protocol_mutex``."""
    of: str
    """What it belongs to: ``ServerConnection at 0x7f75626dea10``, or the file of a global one."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread. Its locks are inferred from the source, not read from the locks themselves (see locks.py)."""

    tid: int
    """Its id in the pid namespace that /proc shows here."""
    name: str
    doing: str
    """What it asks of the kernel, such as ``sendto on socket 10.0.0.1:80 -> 10.0.0.2:5060``, or else its state."""
    frames: tuple[Frame, ...] = ()
    """The outermost first; none where they cannot be had."""
    holds: tuple[Lock, ...] = ()
    waits_for: Lock | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """The threads of a process at one moment."""

    pid: int
    how: Literal["py-spy", "proc"]
    """Who told: with frames (py-spy), or the kernel alone."""
    why_not: str | None
    """Where only the kernel told: why, in one line."""
    threads: tuple[Thread, ...]
