"""Sessions worth a closer look, written out as scenarios for ``halfopen run``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from halfopen.errors import InputError, reason_of
from halfopen.grace import conditions, plan
from halfopen.grace.confirmation import agree
from halfopen.grace.sweep_request import told_its_grace
from halfopen.grace.trials import Came, Draw, Part, Sweep, Trial
from halfopen.results import record
from halfopen.results.words import exactly

FOLDER = "draws"
#: The wrong outcome for each part. In the staircase no outcome is wrong.
_WRONG: dict[Part, Came] = {"mix": "reaped", "dead": "kept"}
#: The start of the names of draws, and of the first line of each file.
_OURS = re.compile(r"(\d+|staircase)-")
_MARK = "# again: halfopen run"


@dataclass(frozen=True, slots=True)
class Notable:
    """A session that went wrong, and the options of ``halfopen run`` that reproduce it."""

    draw: Draw
    options: tuple[str, ...]


def notable(sweep: Sweep, tried: Iterable[Trial]) -> list[Notable]:
    """Return reaped live sessions, missed dead clients, unproved sessions, and wrong predictions."""
    parts = {draw.number: draw.part for draw in sweep.draws}
    first: dict[int, Trial] = {}
    for one in sorted(tried, key=lambda one: (one.candidate, one.really)):
        if _is_notable(one, parts[one.draw]):
            first.setdefault(one.draw, one)
    return [Notable(draw, _options(sweep, draw, first[draw.number])) for draw in sweep.draws if draw.number in first]


def _is_notable(one: Trial, part: Part) -> bool:
    return (
        one.came == "unproved"
        or one.came == _WRONG.get(part)
        or (one.foretold and not agree(one.foretold_at, one.reaped_at))
    )


def _options(sweep: Sweep, draw: Draw, one: Trial) -> tuple[str, ...]:
    """The options that it was run with or replayed for."""
    who = sweep.candidates[one.candidate]
    grace, poll, detector = who.grace, who.poll, who.detector
    if one.came == "unproved" and not one.really:
        # Here the recording itself, made without a detector and for the longest grace and poll, is unproved
        # (halfopen.grace.batch).
        its = [it for n, it in enumerate(sweep.candidates) if plan.is_replayed(sweep, n)]
        grace, poll, detector = max(it.grace for it in its), max(it.poll for it in its), "none"
    words = ["--clock", "virtual", "--seed", str(sweep.seed), "--grace", exactly(grace), "--poll", exactly(poll)]
    words += [] if detector is None else ["--detector", detector]
    if least := plan.least_hold(sweep.candidates, one.candidate):
        itself = conditions.parsed(draw.scenario, draw.name, draw.name).expect.hold.seconds(grace=grace, poll=poll)
        words += ["--hold", exactly(max(least, itself))]
    return (*words, *told_its_grace(sweep.target, sweep.grace_argument, who).arguments())


def check_folder(out: Path) -> None:
    """Make the folder for them in ``out`` and check that it is writable; raises InputError."""
    folder = out / FOLDER
    try:
        record.probe(folder)
    except OSError as error:
        raise InputError(
            f"cannot write sessions to look into to {folder}: {reason_of(error)}; move it away, or name another --out"
        ) from None


def write(out: Path, found: Sequence[Notable]) -> None:
    """Write each session into a file in ``out``/draws, below the command that repeats it. Raises OSError.

    Files of an earlier sweep are removed, and no others.
    """
    folder = out / FOLDER
    for left in filter(_is_ours, folder.glob("*.toml")):
        left.unlink()
    for one in found:
        file = folder / f"{one.draw.name}.toml"
        file.write_text(f"{_comment(file, one)}\n{one.draw.scenario}", encoding="utf-8")


def _is_ours(file: Path) -> bool:
    """True if name and beginning are those of a file written here."""
    if not _OURS.match(file.name) or not file.is_file():
        return False
    with file.open("rb") as beginning:
        return beginning.read(len(_MARK)) == _MARK.encode()


def _comment(file: Path, one: Notable) -> str:
    """The command that repeats it, with a folder of its own for the results, so that the sweep's are not replaced."""
    options = shlex.join([str(file), *one.options, "--out", str(file.with_name(one.draw.name))])
    # A server's command may have several lines.
    return f"{_MARK} {options}".replace("\n", "\n# ")
