"""Sessions that somebody will want to see for themselves: written out as scenarios for ``halfopen run``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.grace.confirming import AGREES_WITHIN
from harness.grace.model import Came, Draw, Part, Sweep, Tried

FOLDER = "draws"
#: What should not have come of a session. Of the staircase anything may.
_WRONG: dict[Part, Came] = {"mix": "reaped", "dead": "kept"}


def notable(sweep: Sweep, tried: Iterable[Tried]) -> list[Draw]:
    """The live that were reaped, the dead that were missed, what proves nothing, and what was foretold wrongly."""
    parts = {draw.number: draw.part for draw in sweep.draws}
    numbers = {one.draw for one in tried if _is_notable(one, parts[one.draw])}
    return [draw for draw in sweep.draws if draw.number in numbers]


def _is_notable(one: Tried, part: Part) -> bool:
    return one.came == "unproved" or one.came == _WRONG.get(part) or (one.foretold and not _agrees(one))


def _agrees(one: Tried) -> bool:
    if one.reaped_at is None or one.foretold_at is None:
        return one.reaped_at is one.foretold_at
    return abs(one.reaped_at - one.foretold_at) <= AGREES_WITHIN


def write(out: Path, draws: Sequence[Draw]) -> None:
    """Write each into its file in ``out``/draws, and take away what was there; raises OSError."""
    folder = out / FOLDER
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.toml"):
        left.unlink()
    for draw in draws:
        (folder / f"{draw.name}.toml").write_text(draw.scenario, encoding="utf-8")
