"""Threads in words for a terminal: first those that hold a lock that another waits for. Pure."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from halfopen.thread_dump.frames import Dump, Frame, Lock, Thread

#: Innermost frames shown of a thread that is involved with locks, and of any other.
_FRAMES, _FRAMES_OF_OTHERS = 6, 1
#: Number of thread ids listed for threads that do the same.
_NAMED = 4
#: Uninformative first frames of every Python thread.
_BEGINNING = re.compile(r"(Thread\.)?(_bootstrap|_bootstrap_inner|run)")
_CALL = re.compile(r"([A-Za-z_]\w*)\(")
_NO_CALLS = {"if", "while", "for", "and", "or", "not", "in", "return", "await", "yield", "assert", "elif", "with"}
#: Python's automatic thread name. The function in it is what identifies the thread.
_NUMBERED = re.compile(r"Thread-\d+ \((?P<function>.+)\)")
#: Ranks, in the order of display.
_AWAITED, _WAITING, _HOLDING, _OTHER = range(4)


def render(dump: Dump, width: int) -> list[str]:
    """Return each thread's head line and innermost frames, innermost last, with the most telling threads first.

    Threads that do the same are grouped. ``width`` is that of a line, in characters; longer lines are cut.
    """
    text = _Text(dump.threads)
    lines = textwrap.wrap(f"no frames: {dump.why_not}", width, subsequent_indent="  ") if dump.why_not else []
    for threads in text.groups():
        lines += text.of(threads)
    if any(thread.holds or thread.waits_for for thread in dump.threads):
        lines.append("(locks: by the source, from where each thread is in it)")
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


class _Text:
    """Holders of the locks, and the name to show for each lock."""

    def __init__(self, threads: Sequence[Thread]) -> None:
        self._threads = threads
        locks = {lock for thread in threads for lock in (*thread.holds, thread.waits_for) if lock}
        self._same_name = Counter(lock.name for lock in locks)

    def groups(self) -> list[list[Thread]]:
        """Return groups of threads that do the same, in the order of display."""
        groups: dict[object, list[Thread]] = {}
        for thread in sorted(self._threads, key=lambda thread: (self._rank(thread), thread.tid)):
            alike = (_name(thread), thread.frames, _call(thread), thread.holds, thread.waits_for)
            groups.setdefault(alike, []).append(thread)
        return list(groups.values())

    def of(self, threads: Sequence[Thread]) -> list[str]:
        """Return the lines of one group."""
        thread = threads[0]
        own = _own_frames(thread.frames)
        shown = _FRAMES_OF_OTHERS if self._rank(thread) == _OTHER else _FRAMES
        cut = ["    ..."] if shown > 1 and len(own) > shown else []
        frames = [line for frame in own[-shown:] for line in _frame(frame)]
        doing = thread.doing if len(threads) == 1 else _call(thread)
        kernel = [f"    {doing}"] if thread.frames else []
        return [f"{_numbers(threads)} ({_name(thread)}): {self._activity(thread, doing)}", *cut, *frames, *kernel]

    def _rank(self, thread: Thread) -> int:
        if any(other.waits_for in thread.holds for other in self._threads if other.waits_for):
            return _AWAITED
        if thread.waits_for:
            return _WAITING
        return _HOLDING if thread.holds else _OTHER

    def _activity(self, thread: Thread, doing: str) -> str:
        lock = thread.waits_for
        activity = f"waits for {self._called(lock)}, {self._holders(lock)}" if lock else _within(thread, doing)
        return f"{activity}, holds {', '.join(map(self._called, thread.holds))}" if thread.holds else activity

    def _holders(self, lock: Lock) -> str:
        holders = [thread for thread in self._threads if lock in thread.holds]
        return f"held by {_numbers(holders)}" if holders else "holder unknown"

    def _called(self, lock: Lock) -> str:
        """Return a lock's name, with its owner if another lock has the same name."""
        return f"{lock.name} of {lock.of}" if self._same_name[lock.name] > 1 else lock.name


def _own_frames(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Drop the frames in which Python begins a thread, or waits on its behalf."""
    begins = sum(1 for _ in itertools.takewhile(lambda frame: _BEGINNING.fullmatch(frame.function), frames))
    waits = sum(1 for _ in itertools.takewhile(_of_threading, reversed(frames)))
    return frames[begins : len(frames) - waits] or frames


def _of_threading(frame: Frame) -> bool:
    return PurePath(frame.file).name == "threading.py"


def _name(thread: Thread) -> str:
    numbered = _NUMBERED.fullmatch(thread.name)
    return numbered["function"] if numbered else thread.name


def _numbers(threads: Sequence[Thread]) -> str:
    """``thread 7``, ``threads 7, 8``, ``threads 7, 8, 9, 10 and 5 more``."""
    named = ", ".join(str(thread.tid) for thread in threads[:_NAMED])
    more = f" and {len(threads) - _NAMED} more" if len(threads) > _NAMED else ""
    return f"thread{'s' if len(threads) > 1 else ''} {named}{more}"


def _call(thread: Thread) -> str:
    """Return the kernel call without its descriptor."""
    return thread.doing.partition(" on ")[0]


def _within(thread: Thread, doing: str) -> str:
    """Describe the place of the innermost frame: the only function that its line calls, or else its own function."""
    if not thread.frames:
        return doing
    innermost = _own_frames(thread.frames)[-1]
    calls = [name for name in _CALL.findall(innermost.source) if name not in _NO_CALLS]
    return f"in {calls[0] if len(calls) == 1 else innermost.function.rpartition('.')[2]}"


def _frame(frame: Frame) -> list[str]:
    place = f"    {frame.function} ({'/'.join(PurePath(frame.file).parts[-3:]).lstrip('/')}:{frame.line})"
    return [place, f"      {frame.source}"] if frame.source else [place]
