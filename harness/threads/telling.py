"""What threads are doing, in words for a terminal: first who holds what another waits for. Pure."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from harness.threads.model import Dump, Frame, Lock, Thread

#: Of a thread that is part of the story so many of its innermost frames are shown, of another so many.
_FRAMES, _FRAMES_OF_OTHERS = 6, 1
#: What every thread of Python's begins with, and which tells nothing.
_BEGINNING = re.compile(r"(Thread\.)?(_bootstrap|_bootstrap_inner|run)")
_CALL = re.compile(r"([A-Za-z_]\w*)\(")
_NO_CALLS = {"if", "while", "for", "and", "or", "not", "in", "return", "await", "yield", "assert", "elif", "with"}
#: How Python names a thread by itself: its function is what tells.
_NUMBERED = re.compile(r"Thread-\d+ \((?P<function>.+)\)")


def told(dump: Dump, width: int) -> list[str]:
    """Each thread's head line and its innermost frames, the innermost last; the most telling threads first.

    ``width``: of a line, in characters; what is longer is cut.
    """
    story = _Story(dump.threads)
    lines = [f"no frames: {dump.why_not}"] if dump.why_not else []
    for thread in sorted(dump.threads, key=story.rank):
        lines += story.of(thread)
    if any(thread.holds or thread.waits_for for thread in dump.threads):
        lines.append("(locks: by the source, from where each thread is in it)")
    return [_cut(line, width) for line in lines]


class _Story:
    """Who holds what, and what each lock is to be called."""

    def __init__(self, threads: Sequence[Thread]) -> None:
        self._threads = threads
        locks = {lock for thread in threads for lock in (*thread.holds, thread.waits_for) if lock}
        self._named_so = Counter(lock.name for lock in locks)

    def rank(self, thread: Thread) -> tuple[int, int]:
        """Those that are waited for, those that wait, those that merely hold a lock, and the others."""
        if any(other.waits_for in thread.holds for other in self._threads if other.waits_for):
            return 0, thread.tid
        if thread.waits_for:
            return 1, thread.tid
        return (2 if thread.holds else 3), thread.tid

    def of(self, thread: Thread) -> list[str]:
        """One thread's lines."""
        shown = _FRAMES if self.rank(thread)[0] < 3 else _FRAMES_OF_OTHERS
        its = _its_own(thread.frames)
        cut = ["    ..."] if shown > 1 and len(its) > shown else []
        frames = [line for frame in its[-shown:] for line in _frame(frame)]
        kernel = [f"    {thread.doing}"] if thread.frames else []
        return [f"thread {thread.tid} ({_name(thread)}): {self._deeds(thread)}", *cut, *frames, *kernel]

    def _deeds(self, thread: Thread) -> str:
        waits = (
            f"waits for {self._called(thread.waits_for)}, {self._holders(thread.waits_for)}" if thread.waits_for else ""
        )
        holds = f"holds {', '.join(map(self._called, thread.holds))}" if thread.holds else ""
        return ", ".join(filter(None, (waits or _within(thread), holds)))

    def _holders(self, lock: Lock) -> str:
        holders = [str(thread.tid) for thread in self._threads if lock in thread.holds]
        if not holders:
            return "not seen who holds it"
        return f"held by thread{'s' if len(holders) > 1 else ''} {', '.join(holders)}"

    def _called(self, lock: Lock) -> str:
        """Its name, and where another is named so, what it belongs to."""
        return f"{lock.name} of {lock.of}" if self._named_so[lock.name] > 1 else lock.name


def _its_own(frames: Sequence[Frame]) -> list[Frame]:
    """Without those in which Python begins a thread."""
    begins = itertools.takewhile(
        lambda frame: _BEGINNING.fullmatch(frame.function) and _base(frame) == "threading.py", frames
    )
    return list(frames[len(list(begins)) :])


def _base(frame: Frame) -> str:
    return PurePath(frame.file).name


def _name(thread: Thread) -> str:
    found = _NUMBERED.fullmatch(thread.name)
    return found["function"] if found else thread.name


def _within(thread: Thread) -> str:
    """What it is in: what the innermost line calls, if that is one thing, or else the function."""
    if not thread.frames:
        return thread.doing
    innermost = thread.frames[-1]
    calls = [name for name in _CALL.findall(innermost.source) if name not in _NO_CALLS]
    return f"in {calls[0] if len(calls) == 1 else innermost.function}"


def _frame(frame: Frame) -> list[str]:
    place = f"    {frame.function} ({'/'.join(PurePath(frame.file).parts[-3:]).lstrip('/')}:{frame.line})"
    return [place, f"      {frame.source}"] if frame.source else [place]


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"
