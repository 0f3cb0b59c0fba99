"""Upon SIGUSR2, says on stdout where every thread and every asyncio task is: innermost last, as in a traceback.

Python imports a module of this name when it starts (https://docs.python.org/3/library/site.html): with this folder in
PYTHONPATH a server needs no change for it.
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any


def _line(file: str, number: int, function: str) -> str:
    """A frame, the same wherever Python and its packages are installed."""
    parts = Path(file).parts
    for root in ("site-packages", f"python{sys.version_info.major}.{sys.version_info.minor}"):
        if root in parts:
            parts = parts[parts.index(root) + 1 :]
    shown = "/".join(parts[-3:])
    return f"  {shown}:{number} {function}: {linecache.getline(file, number).strip()}"


def _thread(frame: FrameType) -> Iterator[str]:
    for summary in traceback.extract_stack(frame):
        yield _line(summary.filename, summary.lineno or 0, summary.name)


def _awaiting(awaitable: Any) -> Iterator[str]:
    """Down the chain of what waits for what: Task.get_stack() has its first link only."""
    while awaitable is not None:
        # A step of an asynchronous generator does not say whose it is, but refers to it.
        generators = [one for one in gc.get_referents(awaitable) if hasattr(one, "ag_frame")]
        for kind, follow in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(awaitable, f"{kind}_frame", None)
            if frame is not None:
                yield _line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
                awaitable = getattr(awaitable, follow)
                break
        else:
            steps = [one for one in gc.get_referents(awaitable) if type(one).__name__ == "async_generator_asend"]
            awaitable = next(iter(generators or steps), None)


def _show(_number: int, interrupted: FrameType | None) -> None:
    """The handler: runs in the main thread, whose own frame is what it interrupted."""
    frames = sys._current_frames()  # noqa: SLF001 (there is no other way to them, faulthandler's apart)
    for thread in threading.enumerate():
        frame = interrupted if thread is threading.main_thread() else frames.get(thread.ident or 0)
        if frame is not None:
            print(f"thread {thread.name!r}", *_thread(frame), sep="\n")
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs in this thread
        tasks = set()
    for task in sorted(tasks, key=lambda task: task.get_name()):
        print(f"task {task.get_name()!r}", *_awaiting(task.get_coro()), sep="\n")
    sys.stdout.flush()


signal.signal(signal.SIGUSR2, _show)
