"""Sessions worth a closer look, written out as scenarios for ``halfopen run``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from halfopen.errors import InputError, reason_of
from halfopen.grace import mix
from halfopen.grace.confirmation import agree
from halfopen.grace.sweep import Draw, Part, Sweep, Trial, TrialOutcome, least_hold
from halfopen.grace.sweep_request import with_grace
from halfopen.results import record
from halfopen.results.words import exactly

FOLDER = "draws"
#: The wrong outcome for each part. In the staircase no outcome is wrong.
_WRONG: dict[Part, TrialOutcome] = {"mix": "reaped", "dead": "kept"}
#: The start of the names of draws, and of the first line of each file.
_OURS = re.compile(r"(\d+|staircase)-")
_MARK = "# again: halfopen run"


@dataclass(frozen=True, slots=True)
class SavedDraw:
    """A session that went wrong, and the options of ``halfopen run`` that reproduce it."""

    draw: Draw
    options: tuple[str, ...]


def to_save(sweep: Sweep, trials: Iterable[Trial]) -> list[SavedDraw]:
    """Return reaped live sessions, missed dead clients, unproved sessions, and wrong predictions."""
    parts = {draw.number: draw.part for draw in sweep.draws}
    first: dict[int, Trial] = {}
    for trial in sorted(trials, key=lambda trial: (trial.candidate, trial.real)):
        wrongly_predicted = trial.predicted and not agree(trial.predicted_at, trial.reaped_at)
        if trial.outcome in {"unproved", _WRONG.get(parts[trial.draw])} or wrongly_predicted:
            first.setdefault(trial.draw, trial)
    return [SavedDraw(draw, _options(sweep, draw, first[draw.number])) for draw in sweep.draws if draw.number in first]


def _options(sweep: Sweep, draw: Draw, trial: Trial) -> tuple[str, ...]:
    """The options that it was run with or replayed for."""
    candidate = sweep.candidates[trial.candidate]
    grace, poll, detector = candidate.grace, candidate.poll, candidate.detector
    if trial.outcome == "unproved" and not trial.real:
        # Here the recording itself, made without a detector and for the longest grace and poll, is unproved
        # (halfopen.grace.batch).
        replayed = [sweep.candidates[number] for number in sweep.replayed]
        grace, poll, detector = max(each.grace for each in replayed), max(each.poll for each in replayed), "none"
    words = ["--clock", "virtual", "--seed", str(sweep.seed), "--grace", exactly(grace), "--poll", exactly(poll)]
    words += [] if detector is None else ["--detector", detector]
    if least := least_hold(sweep.candidates, trial.candidate):
        own = mix.parsed(draw.scenario, draw.name, draw.name).expect.hold.seconds(grace=grace, poll=poll)
        words += ["--hold", exactly(max(least, own))]
    return (*words, *with_grace(sweep.target, sweep.grace_argument, candidate).arguments())


def check_folder(out: Path) -> None:
    """Make the folder for them in ``out`` and check that it is writable; raises InputError."""
    folder = out / FOLDER
    try:
        record.probe(folder)
    except OSError as error:
        raise InputError(
            f"cannot write sessions to look into to {folder}: {reason_of(error)}; move it away, or name another --out"
        ) from None


def write(out: Path, saved: Sequence[SavedDraw]) -> None:
    """Write each session into a file in ``out``/draws, below the command that repeats it. Raises OSError.

    Files of an earlier sweep are removed, and no others.
    """
    folder = out / FOLDER
    for file in folder.glob("*.toml"):
        if _OURS.match(file.name) and file.is_file() and file.read_bytes().startswith(_MARK.encode()):
            file.unlink()
    for failed in saved:
        file = folder / f"{failed.draw.name}.toml"
        # With a folder of its own for the results, so that the sweep's are not replaced.
        options = shlex.join([str(file), *failed.options, "--out", str(file.with_suffix(""))])
        # A server's command may have several lines.
        command = f"{_MARK} {options}".replace("\n", "\n# ")
        file.write_text(f"{command}\n{failed.draw.scenario}", encoding="utf-8")
