"""Sessions that somebody will want to see for themselves: written out as scenarios for ``halfopen run``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from halfopen.errors import InputError, reason_of
from halfopen.grace import conditions, plan
from halfopen.grace.asked import told_its_grace
from halfopen.grace.confirming import agree
from halfopen.grace.model import Came, Draw, Part, Sweep, Tried
from halfopen.results import record
from halfopen.results.story import exactly

FOLDER = "draws"
#: What should not have come of a session. Of the staircase anything may.
_WRONG: dict[Part, Came] = {"mix": "reaped", "dead": "kept"}
#: How the names of draws begin, and the first line of each file.
_OURS = re.compile(r"(\d+|staircase)-")
_MARK = "# again: halfopen run"


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
    return [Notable(draw, _options(sweep, draw, first[draw.number])) for draw in sweep.draws if draw.number in first]


def _is_notable(one: Tried, part: Part) -> bool:
    return (
        one.came == "unproved"
        or one.came == _WRONG.get(part)
        or (one.foretold and not agree(one.foretold_at, one.reaped_at))
    )


def _options(sweep: Sweep, draw: Draw, one: Tried) -> tuple[str, ...]:
    """What it was run with, or replayed for."""
    who = sweep.contenders[one.contender]
    grace, poll, detector = who.grace, who.poll, who.detector
    if one.came == "unproved" and not one.really:
        # The recording itself proves nothing, in which nobody acts, and which is of the longest (halfopen.grace.batch).
        its = [it for n, it in enumerate(sweep.contenders) if plan.is_replayed(sweep, n)]
        grace, poll, detector = max(it.grace for it in its), max(it.poll for it in its), "none"
    words = ["--clock", "virtual", "--seed", str(sweep.seed), "--grace", exactly(grace), "--poll", exactly(poll)]
    words += [] if detector is None else ["--detector", detector]
    if least := plan.least_hold(sweep.contenders, one.contender):
        itself = conditions.parsed(draw.scenario, draw.name, draw.name).expect.hold.seconds(grace=grace, poll=poll)
        words += ["--hold", exactly(max(least, itself))]
    return (*words, *told_its_grace(sweep.target, sweep.grace_argument, who).arguments())


def check_folder(out: Path) -> None:
    """Make the folder for them in ``out`` and see that it can be written to; raises InputError."""
    folder = out / FOLDER
    try:
        record.probe(folder)
    except OSError as error:
        raise InputError(
            f"cannot write sessions to look into to {folder}: {reason_of(error)}; move it away, or name another --out"
        ) from None


def write(out: Path, found: Sequence[Notable]) -> None:
    """Write each into its file in ``out``/draws, which begins with the command that shows it again; raises OSError.

    Those of an earlier sweep are taken away, and nothing else that is there.
    """
    folder = out / FOLDER
    for left in filter(_is_ours, folder.glob("*.toml")):
        left.unlink()
    for one in found:
        file = folder / f"{one.draw.name}.toml"
        file.write_text(f"{_comment(file, one)}\n{one.draw.scenario}", encoding="utf-8")


def _is_ours(file: Path) -> bool:
    """Whether it is called and begins as those that are written here."""
    if not _OURS.match(file.name) or not file.is_file():
        return False
    with file.open("rb") as beginning:
        return beginning.read(len(_MARK)) == _MARK.encode()


def _comment(file: Path, one: Notable) -> str:
    """The command that shows it again, in a folder of its own, or the sweep's results would make way for its."""
    options = shlex.join([str(file), *one.options, "--out", str(file.with_name(one.draw.name))])
    # A server's command may have several lines.
    return f"{_MARK} {options}".replace("\n", "\n# ")
