"""Sessions that somebody will want to see for themselves: written out as scenarios for ``halfopen run``."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.grace.asked import told_its_grace
from harness.grace.confirming import AGREES_WITHIN
from harness.grace.model import Came, Draw, Part, Sweep, Tried
from harness.telling import exactly

FOLDER = "draws"
#: What should not have come of a session. Of the staircase anything may.
_WRONG: dict[Part, Came] = {"mix": "reaped", "dead": "kept"}


@dataclass(frozen=True, slots=True)
class Notable:
    """A session that went wrong, and the options of ``halfopen run`` with which it does so again."""

    draw: Draw
    options: tuple[str, ...]


def notable(sweep: Sweep, tried: Iterable[Tried]) -> list[Notable]:
    """The live that were reaped, the dead that were missed, what proves nothing, and what was foretold wrongly."""
    parts = {draw.number: draw.part for draw in sweep.draws}
    first: dict[int, Tried] = {}
    for one in sorted(tried, key=lambda one: (one.contender, one.really)):
        if _is_notable(one, parts[one.draw]):
            first.setdefault(one.draw, one)
    return [Notable(draw, _options(sweep, first[draw.number])) for draw in sweep.draws if draw.number in first]


def _is_notable(one: Tried, part: Part) -> bool:
    return one.came == "unproved" or one.came == _WRONG.get(part) or (one.foretold and not _agrees(one))


def _agrees(one: Tried) -> bool:
    if one.reaped_at is None or one.foretold_at is None:
        return one.reaped_at is one.foretold_at
    return abs(one.reaped_at - one.foretold_at) <= AGREES_WITHIN


def _options(sweep: Sweep, one: Tried) -> tuple[str, ...]:
    """What it was run with, or replayed for."""
    who = sweep.contenders[one.contender]
    grace, poll, detector = who.grace, who.poll, who.detector
    if one.came == "unproved" and not one.really:
        # The recording itself proves nothing, in which nobody acts, and which the longest of all must fit into.
        grace, poll = max(it.grace for it in sweep.contenders), max(it.poll for it in sweep.contenders)
        detector = "none"
    words = ["--clock", "virtual", "--seed", str(sweep.seed), "--grace", exactly(grace), "--poll", exactly(poll)]
    words += [] if detector is None else ["--detector", detector]
    return (*words, *told_its_grace(sweep.target, sweep.grace_argument, who).arguments())


def write(out: Path, found: Sequence[Notable]) -> None:
    """Write each into its file in ``out``/draws, which begins with the command that shows it again; raises OSError."""
    folder = out / FOLDER
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.toml"):
        left.unlink()
    for one in found:
        file = folder / f"{one.draw.name}.toml"
        file.write_text(f"{_comment(file, one)}\n{one.draw.scenario}", encoding="utf-8")


def _comment(file: Path, one: Notable) -> str:
    """The command that shows it again, in a folder of its own, or the sweep's results would make way for its."""
    command = shlex.join(["halfopen", "run", str(file), *one.options, "--out", str(file.with_suffix(""))])
    return textwrap.indent(f"again: {command}", "# ")
