"""Reduce the stacks that a server printed to those that show why it holds a dead client. Pure.

The server prints them by its own means. A line without indent begins a block (a thread, a task). Indented lines are its
frames, the innermost last. Nothing else is assumed about the format or the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from halfopen.model.kept_output import TRACEBACK
from halfopen.model.timeline import Timeline

#: Number of a block's innermost frames to show.
_FRAMES = 6

Finding = Literal["keepalive_waits", "writer_waits", "nothing_waits", "silent"]

#: Functions that are called, or being called: ``sendall(data)``, ``self.writable.wait()``, ``send_context:``,
#: ``'drain'``. Not functions that are merely passed on: ``app(receive, send)``.
_WRITING = re.compile(r"(send|drain|flush|write|writable)[a-z_]*[(:.']", re.IGNORECASE)
_KEEPALIVE = re.compile(r"(?<![a-z])(ping|keepalive|heartbeat)s?(?![a-z])", re.IGNORECASE)
#: Frames of a keepalive between two pings, or after one was sent.
_RESTING = re.compile(r"(?<![a-z])(sleep|pong)", re.IGNORECASE)
#: The date and the time of a line of a log.
TIME_OF_DAY = re.compile(r"\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?( ?[+-]\d\d:?\d\d|Z)?\]? ?")
_COMPLAINTS = 5
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class StackBlock:
    """One thread or task."""

    head: str
    frames: tuple[str, ...]

    @property
    def writes(self) -> bool:
        """True if it is in the middle of sending something."""
        return any(map(_WRITING.search, self.frames)) and not self._rests

    @property
    def keeps_alive(self) -> bool:
        """True if it is in the middle of sending a ping."""
        return any(map(_KEEPALIVE.search, self.frames)) and not self._rests

    @property
    def _rests(self) -> bool:
        return bool(self.frames) and bool(_RESTING.search(self.frames[-1]))


def printed(timeline: Timeline) -> list[str]:
    """Return the lines that the server printed after it was asked for its stacks (halfopen.targets.command)."""
    asked = timeline.first("target", "stacks_asked")
    if asked is None:
        return []
    return [str(event.data["text"]) for event in timeline.of("target", "output") if event.t >= asked.t]


def complaints(timeline: Timeline) -> list[str]:
    """Return the last few lines on stderr from the first fault until stacks were asked for, each line once.

    Indented lines (a traceback's frames) are left out, and so is the time of day, which differs in every run.
    """
    begun, asked = timeline.first("fault", "begun"), timeline.first("target", "stacks_asked")
    if begun is None:
        return []
    said = timeline.between(begun.t, asked.t if asked else float("inf")).of("target", "output")
    lines = (str(event.data["text"]).rstrip() for event in said if event.data.get("stream") == "stderr")
    kept = (TIME_OF_DAY.sub("", line) for line in lines if line and not line[0].isspace() and line != TRACEBACK)
    return list(dict.fromkeys(kept))[-_COMPLAINTS:]


def blocks(lines: Iterable[str]) -> list[StackBlock]:
    """Return the blocks in the order printed."""
    found: list[StackBlock] = []
    for line in lines:
        if line[:1].isspace() and found:
            found[-1] = StackBlock(found[-1].head, (*found[-1].frames, line))
        elif line.strip():
            found.append(StackBlock(line, ()))
    return found


def telling(lines: Sequence[str]) -> list[str]:
    """Return the innermost frames of the blocks that send something or ping, or of all blocks if none does."""
    all_of_them = blocks(lines)
    writing = [block for block in all_of_them if block.writes or block.keeps_alive] or all_of_them
    return [line for block in writing for line in _shown(block)]


def _shown(block: StackBlock) -> list[str]:
    cut = ["  ..."] if len(block.frames) > _FRAMES else []
    return [block.head, *cut, *block.frames[-_FRAMES:]]


def finding(lines: Sequence[str]) -> Finding:
    """Classify the stacks in one word."""
    found = blocks(lines)
    if not found:
        return "silent"
    if any(block.keeps_alive for block in found):
        return "keepalive_waits"
    return "writer_waits" if any(block.writes for block in found) else "nothing_waits"


def gist(lines: Sequence[str]) -> str:
    """Return the stacks with all numbers masked (of tasks, threads, bytes), so that equal stacks compare equal."""
    return _NUMBERS.sub("N", "\n".join(telling(lines)))
