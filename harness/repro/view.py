"""Draw the state of a held session, for a terminal of any size or for plain output. Pure: a Look in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from halfopen.netns.units import show_bytes, show_duration
from halfopen.repro.counters import COUNTERS, STATES, Counter, sparkline
from halfopen.repro.keys import KeyStroke
from halfopen.repro.look import SessionView, Stacks
from halfopen.thread_dump import render

_NAME, _NOW, _GAP = 14, 12, 1
#: Fewest lines of each part when space is short. _shares distributes the rest.
_FEWEST_COUNTERS, _FEWEST_STACKS, _FEWEST_DEEDS = 6, 4, 2
#: Number of recent actions in plain output.
_DEEDS = 20


def draw(
    look: SessionView, width: int, height: int | None = None, keys: Sequence[KeyStroke] = (), *, helped: bool = False
) -> Text:
    """Draw a Look in lines of ``width`` characters, and at most ``height`` of them (None: no limit).

    ``helped`` replaces the stacks by what each key does.
    """
    foot = [_hint(keys)] if keys else []
    room = None if height is None else width
    head, below = _head(look, room), _below(look, room)
    if helped:
        return _joined([*head, Text(), *_help(keys)], foot, width, height)
    counters, stacks, deeds = _counters(look, width), _stacks(look.stacks, width), _deeds(look, room)[-_DEEDS:]
    if height is not None:
        rest = height - len(head) - len(below) - len(foot) - 1
        shares = _shares(rest, len(counters) - 1, _length(stacks), _length(deeds))
        counters, stacks, deeds = counters[: shares[0] + 1], _fitted(stacks, shares[1]), _latest(deeds, shares[2])
    lines = [*head, *counters, *below, *(line for block in (*stacks, *deeds) for line in block)]
    return _joined(lines, foot, width, height)


def _joined(lines: list[Text], foot: list[Text], width: int, height: int | None) -> Text:
    """Join the lines and cut them to ``height`` and ``width``; cut nothing if there is no height, as in a file."""
    if height is not None:
        lines = [*lines[: max(0, height - len(foot))], *foot]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _shares(room: int, counters: int, stacks: int, deeds: int) -> tuple[int, int, int]:
    """Distribute ``room`` lines: the minimum of each part first, then stacks, counters and deeds in turn."""
    wanted = [counters, stacks, deeds]
    got = [
        min(most, least) for most, least in zip(wanted, (_FEWEST_COUNTERS, _FEWEST_STACKS, _FEWEST_DEEDS), strict=True)
    ]
    order = [1, 1, 1, 0, 2]
    turn = 0
    while sum(got) < room and got != wanted:
        part = order[turn % len(order)]
        got[part] += got[part] < wanted[part]
        turn += 1
    while sum(got) > max(0, room):
        # Not even room for the minimum: the deeds go first.
        part = next(part for part in (2, 0, 1) if got[part])
        got[part] -= 1
    return got[0], got[1], got[2]


def _wrapped(line: Text, room: int | None, indent: int) -> list[Text]:
    """Break a line between words to fit ``room``, all but the first part indented; None for no limit."""
    if room is None or len(line) <= room:
        return [line]
    first, *rest = textwrap.wrap(line.plain, max(room, 2 * indent), subsequent_indent=" " * indent)
    return [line[: len(first)], *(Text(more, style=line.style) for more in rest)]


def _title(look: SessionView, room: int | None) -> str:
    """Return the title, shortened if it must be, and the time, which never is."""
    moment, title = f"   t = {look.t:.1f}s", look.title
    if room is not None and len(title) + len(moment) > room:
        title = f"{title[: max(0, room - len(moment) - 1)]}…"
    return title + moment


def _head(look: SessionView, room: int | None) -> list[Text]:
    title = Text(_title(look, room), style="bold")
    if look.held is not None:
        held = Text(f"held at {look.held_at:.1f}s: {look.held}", style="bold yellow")
        if _is_past(look):
            held = Text(f"was held at {look.held_at:.1f}s: {look.held.removeprefix('wedged: ')}")
    else:
        held = Text(f"on the way there: {look.phase}")
    return [title, *_wrapped(held, room, 2), *_wrapped(_standing(look), room, 2)]


def _is_past(look: SessionView) -> bool:
    """True if the reason for the hold no longer applies: the session ended, or the stuck bytes moved."""
    if look.over_at is not None:
        return look.over_at > look.held_at
    was_stuck = look.held is not None and look.held.startswith("wedged")
    return was_stuck and (look.still_since is None or look.still_since > look.held_at)


def _standing(look: SessionView) -> Text:
    """Describe the stall and its length."""
    if look.over is not None:
        return Text(look.over, style="bold green")
    if look.still_since is None:
        return Text("bytes are acknowledged, or none are queued", style="green")
    queued = look.sample.outq if look.sample else 0
    lasted = show_duration(round(max(0.0, look.t - look.still_since), 1))
    return Text(f"{show_bytes(queued)} queued, nothing acknowledged for {lasted}", style="bold red")


def _counters(look: SessionView, width: int) -> list[Text]:
    spark = 18 if width < 100 else 42
    when = f"at {look.sample.t:.1f}s" if look.is_last and look.sample else "now"
    lines = [Text(f"{'counter':<{_NAME}} {when:>{_NOW}} {'last minute':<{spark}} what it is", style="bold")]
    if look.sample is None:
        return [*lines, Text("the server's socket is not seen yet")]
    state = look.sample.state
    if look.is_last:
        meaning = f"last seen {show_duration(round(max(0.0, look.t - look.sample.t), 1))} ago: it is gone"
    else:
        meaning = STATES.get(state, "")
    lines.append(_row("state", state, "", meaning, spark))
    for counter in COUNTERS:
        values = look.series.get(counter.name, [])
        lines.append(_row(counter.name, _now(look, counter), sparkline(values, spark), counter.meaning, spark))
    return lines


def _now(look: SessionView, counter: Counter) -> str:
    value = getattr(look.sample, counter.name)
    return "?" if value is None else counter.show(value)


def _row(name: str, now: str, line: str, meaning: str, spark: int) -> Text:
    return Text.assemble(
        f"{name:<{_NAME}} ",
        (f"{now:>{_NOW}} ", "bold"),
        (f"{line:<{spark}} ", "cyan"),
        (meaning, "dim"),
    )


def _below(look: SessionView, room: int | None) -> list[Text]:
    faults = ", ".join(f"{one.fault} since {one.since:.1f}s" for one in look.in_force) or "nothing"
    lines = [("in force", faults), ("watchdog", look.watchdog), ("server", look.books), ("capture", look.capture)]
    named = [Text.assemble((f"{name + ':':<10}", "bold"), what) for name, what in lines if what]
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


def _deeds(look: SessionView, room: int | None) -> list[_Block]:
    lines = [Text.assemble((f"{deed.t:7.1f}s  ", "dim"), deed.text) for deed in look.deeds]
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
