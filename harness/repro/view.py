"""The state of a held session, and its drawing for a terminal of any size or for plain output. Pure.

A state is a value that can be sent to another process.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

import msgspec
from rich.text import Text

from halfopen.model.timeline import ProcessSample, Sample
from halfopen.repro.counters import COUNTERS, Counter, sparkline
from halfopen.repro.keys import KeyStroke
from halfopen.results import words
from halfopen.thread_dump import Dump, render

_NAME, _NOW, _GAP = 14, 12, 1
#: Order in which counters (0), stacks (1) and actions (2) get lines: the fewest of each first, then in turn.
_FIRST, _THEN = (*[1] * 4, *[0] * 6, *[2] * 2), (1, 1, 1, 0, 2)
#: Number of recent actions in plain output.
_ACTIONS = 20


class InForce(msgspec.Struct, frozen=True):
    """A fault that was begun and not undone."""

    fault: str
    since: float


class Stacks(msgspec.Struct, frozen=True):
    """The stacks of the server's threads."""

    at: float
    dump: Dump | None
    problem: str = ""
    """Reason why the stacks are not known."""

    @property
    def shows_frames(self) -> bool:
        """True if any thread's place in its program is known."""
        return self.dump is not None and any(thread.frames for thread in self.dump.threads)

    @property
    def shows_waiting(self) -> bool:
        """True if a thread waits for a lock that another is seen to hold."""
        if self.dump is None:
            return False
        held = {lock for thread in self.dump.threads for lock in thread.holds}
        return any(thread.waits_for in held for thread in self.dump.threads if thread.waits_for)


class Action(msgspec.Struct, frozen=True):
    """An action or event worth reporting."""

    t: float
    text: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The state at one moment. Times in seconds since the session's start."""

    t: float
    title: str
    """The scenario and server that were started."""
    phase: str
    """The current phase before the hold."""
    held: str | None = None
    """Reason for the hold; None before it begins."""
    held_at: float = 0.0
    over_at: float | None = None
    """Time at which the server's side of the session ended; None if it has not."""
    over: str | None = None
    """Description of that end; None if it has not ended."""
    still_since: float | None = None
    """Start of the stall: bytes are queued and none acknowledged since."""
    sample: Sample | None = None
    is_last: bool = False
    """True if the socket is gone, so that no other sample will come."""
    processes: ProcessSample | None = None
    """Sample of the server's processes; None if it is not known."""
    series: dict[str, list[int | None]] = {}
    """Each counter's values in the last minute (halfopen.repro.counters)."""
    in_force: tuple[InForce, ...] = ()
    watchdog: str = ""
    server: str = ""
    """The server's own view of the session."""
    capture: str = ""
    """Progress and destination of the packet capture."""
    stacks: Stacks | None = None
    actions: tuple[Action, ...] = ()


def draw(
    shown: SessionView,
    width: int,
    height: int | None = None,
    keys: Sequence[KeyStroke] = (),
    *,
    shows_help: bool = False,
) -> Text:
    """Draw a state in lines of ``width`` characters, and at most ``height`` of them (None: no limit).

    ``shows_help`` replaces the stacks by what each key does.
    """
    foot = [_hint(keys)] if keys else []
    room = None if height is None else width
    head, below = _head(shown, room), _below(shown, room)
    if shows_help:
        return _joined([*head, Text(), *_help(keys)], foot, width, height)
    counters, stacks, actions = _counters(shown, width), _stacks(shown.stacks, width), _actions(shown, room)[-_ACTIONS:]
    if height is not None:
        rest = height - len(head) - len(below) - len(foot) - 1
        shares = _shares(rest, len(counters) - 1, _length(stacks), _length(actions))
        counters, stacks, actions = counters[: shares[0] + 1], _fitted(stacks, shares[1]), _latest(actions, shares[2])
    lines = [*head, *counters, *below, *(line for block in (*stacks, *actions) for line in block)]
    return _joined(lines, foot, width, height)


def _joined(lines: list[Text], foot: list[Text], width: int, height: int | None) -> Text:
    """Join the lines and cut them to ``height`` and ``width``; cut nothing if there is no height, as in a file."""
    if height is not None:
        lines = [*lines[: max(0, height - len(foot))], *foot]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _shares(room: int, *wanted: int) -> list[int]:
    """Distribute ``room`` lines to counters, stacks and actions. What each part is worth is in _FIRST and _THEN."""
    shares = [0] * len(wanted)
    for part in itertools.chain(_FIRST, itertools.cycle(_THEN)):
        if sum(shares) >= room or sum(shares) == sum(wanted):
            return shares
        shares[part] += shares[part] < wanted[part]
    raise AssertionError("a cycle never ends")


def _wrapped(line: Text, room: int | None, indent: int) -> list[Text]:
    """Break a line between words to fit ``room``, all but the first part indented; None for no limit."""
    if room is None or len(line) <= room:
        return [line]
    first, *rest = textwrap.wrap(line.plain, max(room, 2 * indent), subsequent_indent=" " * indent)
    return [line[: len(first)], *(Text(more, style=line.style) for more in rest)]


def _title(shown: SessionView, room: int | None) -> str:
    """Return the title, shortened if it must be, and the time, which never is."""
    moment, title = f"   t = {shown.t:.1f}s", shown.title
    if room is not None and len(title) + len(moment) > room:
        title = f"{title[: max(0, room - len(moment) - 1)]}…"
    return title + moment


def _head(shown: SessionView, room: int | None) -> list[Text]:
    title = Text(_title(shown, room), style="bold")
    if shown.held is not None:
        held = Text(f"held at {shown.held_at:.1f}s: {shown.held}", style="bold yellow")
        if _is_past(shown):
            held = Text(f"was held at {shown.held_at:.1f}s: {shown.held.removeprefix('wedged: ')}")
    else:
        held = Text(f"not held yet: {shown.phase}")
    return [title, *_wrapped(held, room, 2), *_wrapped(_standing(shown), room, 2)]


def _is_past(shown: SessionView) -> bool:
    """True if the reason for the hold no longer applies: the session ended, or the stuck bytes moved."""
    if shown.over_at is not None:
        return shown.over_at > shown.held_at
    was_stuck = shown.held is not None and shown.held.startswith("wedged")
    return was_stuck and (shown.still_since is None or shown.still_since > shown.held_at)


def _standing(shown: SessionView) -> Text:
    """Describe the stall and its length."""
    if shown.over is not None:
        return Text(shown.over, style="bold green")
    if shown.still_since is None:
        return Text("bytes are acknowledged, or none are queued", style="green")
    queued = shown.sample.outq if shown.sample else 0
    return Text(words.stalled(queued, shown.t - shown.still_since), style="bold red")


def _counters(shown: SessionView, width: int) -> list[Text]:
    spark = 18 if width < 100 else 42
    when = f"at {shown.sample.t:.1f}s" if shown.is_last and shown.sample else "now"
    lines = [Text(f"{'counter':<{_NAME}} {when:>{_NOW}} {'last minute':<{spark}} meaning", style="bold")]
    if shown.sample is None:
        return [*lines, Text("the server's socket has not been seen yet")]
    state = shown.sample.state
    if shown.is_last:
        meaning = f"last seen {words.ago(shown.t - shown.sample.t)} ago: it is gone"
    else:
        meaning = words.STATES.get(state, "")
    lines.append(_row("state", state, "", meaning, spark))
    for counter in COUNTERS:
        if counter.of_processes and shown.processes is None:
            continue
        values = shown.series.get(counter.name, [])
        meaning = _held(shown.processes) if counter.of_processes and shown.processes else counter.meaning
        lines.append(_row(counter.name, _now(shown, counter), sparkline(values, spark), meaning, spark))
    return lines


def _now(shown: SessionView, counter: Counter) -> str:
    value = getattr(shown.processes if counter.of_processes else shown.sample, counter.name)
    return "?" if value is None else counter.show(value)


def _held(processes: ProcessSample) -> str:
    """Describe what the server's processes hold beside their memory."""
    counts = (
        (processes.processes, "process", "es"),
        (processes.threads, "thread", "s"),
        (processes.files, "file", "s"),
    )
    return ", ".join(f"{count} {what}{'' if count == 1 else plural}" for count, what, plural in counts)


def _row(name: str, now: str, line: str, meaning: str, spark: int) -> Text:
    return Text.assemble(
        f"{name:<{_NAME}} ",
        (f"{now:>{_NOW}} ", "bold"),
        (f"{line:<{spark}} ", "cyan"),
        (meaning, "dim"),
    )


def _below(shown: SessionView, room: int | None) -> list[Text]:
    faults = ", ".join(f"{one.fault} since {one.since:.1f}s" for one in shown.in_force) or "nothing"
    lines = [("in force", faults), ("watchdog", shown.watchdog), ("server", shown.server), ("capture", shown.capture)]
    named = [Text.assemble((f"{name + ':':<10}", "bold"), text) for name, text in lines if text]
    return [part for line in named for part in _wrapped(line, room, 10)]


#: A head line and the lines that belong to it.
_Block = list[Text]


def _stacks(stacks: Stacks | None, width: int) -> list[_Block]:
    if stacks is None:
        return []
    head = Text(f"threads at {stacks.at:.1f}s:", style="bold")
    if stacks.dump is None:
        return [[head], [Text(stacks.problem)]]
    blocks: list[_Block] = [[head]]
    for line in render(stacks.dump, width):
        if line.startswith(" "):
            blocks[-1].append(Text(line, style="dim"))
        else:
            blocks.append([Text(line, style="yellow" if "waits for" in line or "holds" in line else "")])
    return blocks


def _help(keys: Sequence[KeyStroke]) -> list[Text]:
    return [Text.assemble((f"{key.key}  ", "bold"), key.does) for key in keys]


def _length(blocks: Sequence[_Block]) -> int:
    return sum(map(len, blocks))


def _fitted(blocks: list[_Block], room: int) -> list[_Block]:
    """Fit the blocks into ``room``: the first heads take a third, and each head's last lines take the rest."""
    if _length(blocks) <= room:
        return blocks
    shown = blocks[: max(min(3, room), room // 3)]
    left = room - len(shown)
    extra = [0] * len(shown)
    while left > 0 and any(more < len(block) - 1 for more, block in zip(extra, shown, strict=True)):
        for number, block in enumerate(shown):
            if left > 0 and extra[number] < len(block) - 1:
                extra[number] += 1
                left -= 1
    return [[block[0], *block[len(block) - more :]] for more, block in zip(extra, shown, strict=True)]


def _actions(shown: SessionView, room: int | None) -> list[_Block]:
    lines = [Text.assemble((f"{deed.t:7.1f}s  ", "dim"), deed.text) for deed in shown.actions]
    return [_wrapped(line, room, 10) for line in lines]


def _latest(blocks: list[_Block], room: int) -> list[_Block]:
    """Return the last blocks that fit whole. If not even the very last fits, return as much of it as does."""
    shown: list[_Block] = []
    for block in reversed(blocks):
        if len(block) > room:
            return shown or ([block[:room]] if room else [])
        shown.insert(0, block)
        room -= len(block)
    return shown


def _hint(keys: Sequence[KeyStroke]) -> Text:
    shown = [key for key in keys if key.short]
    return Text(" ").join([Text.assemble((key.key, "bold reverse"), f" {key.short}") for key in shown])
