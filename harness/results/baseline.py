"""Known failures of a server, in a file for people, so that only new ones fail.

A run is known if the file names its scenario with the same verdict and, for a failure, the same class. A session that
used to be missed and is now ended too early is a new failure. A passed run whose scenario is named is fixed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from halfopen.errors import InputError, reason_of, suggest
from halfopen.model import schema
from halfopen.run.runner import RunResult
from halfopen.scenario import suites

#: The classes of results.json, and ``none`` for a client that got no session, which has no class there.
Class = Literal["true_reap", "missed", "false_reap", "true_keep", "closed", "none"]
Standing = Literal["passed", "failed", "inconclusive", "known"]

_HEAD = """\
# Known failures of this server, for: halfopen run --baseline FILE
# A failure that is listed here with its class passes, any other fails. Give the reason for each, such as a ticket.
"""


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The known result of one scenario."""

    verdict: Literal["failed", "inconclusive"]
    klass: Class | None = msgspec.field(name="class", default=None)
    why: str = ""

    def __str__(self) -> str:
        """The known class or verdict, and the reason."""
        what = self.klass or self.verdict
        return f"{what}, {self.why}" if self.why else what


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    known: dict[str, Any] = {}
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """The known failures of a server, by suite and name of the scenario."""

    known: dict[str, Known]
    strict: bool = False
    """True if a line that is no longer true fails too."""
    file: str = ""
    strays: tuple[str, ...] = ()
    """Remarks on names that no scenario has."""

    def of(self, run: RunResult) -> Known | None:
        """Return the known result of a run's scenario, if any."""
        return self.known.get(named(run))

    def covers(self, run: RunResult) -> bool:
        """True if the run failed, or was inconclusive, in the known way."""
        known = self.of(run)
        if known is None or known.verdict != run.verdict.word:
            return False
        return known.verdict == "inconclusive" or known.klass == class_of(run)

    def fixed(self, done: Sequence[RunResult]) -> list[str]:
        """Return the file's scenarios that were run and passed each time."""
        failing = {named(run) for run in done if run.verdict.word != "passed"}
        return [name for name in dict.fromkeys(map(named, done)) if name in self.known and name not in failing]

    def is_stale(self, done: Sequence[RunResult]) -> bool:
        """True if these runs show that a line is no longer true, or a name is no scenario's."""
        return bool(self.strays or self.fixed(done))


def named(run: RunResult) -> str:
    """Return a baseline's name for the scenario of a run, whatever the call."""
    return f"{run.job.scenario.suite}/{run.job.scenario.name}"


def class_of(run: RunResult) -> Class:
    """The class of a run as in results.json, or ``none``."""
    return run.verdict.klass if run.verdict.found.was else "none"


def standing(run: RunResult, baseline: Baseline | None) -> Standing:
    """A run's verdict, or ``known``."""
    return "known" if baseline is not None and baseline.covers(run) else run.verdict.word


def parse(text: str, where: str) -> Baseline:
    """Read a baseline's text; raises InputError naming ``where`` and the key."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}") from None
    content = schema.convert(table, _File, where)
    known = {name: _entry(name, value, where) for name, value in content.known.items()}
    return Baseline(known, content.strict, where, tuple(_strays(known)))


def read(path: Path) -> Baseline:
    """Read a baseline; raises InputError."""
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--baseline {str(path)!r}: cannot be read: {reason_of(error)}; name one that --write-baseline wrote"
        ) from None


def _entry(name: str, value: object, where: str) -> Known:
    at = f"{where}: key {f'known.{name}'!r}"
    if name.count("/") != 1:
        raise InputError(f"{at}: not a suite and a scenario; write for example 'dead/frozen'")
    known = schema.convert(value, Known, at)
    if known.verdict == "failed" and known.klass is None:
        raise InputError(f"{at}: a failure needs its class; add for example class = 'missed'")
    if known.verdict == "inconclusive" and known.klass is not None:
        raise InputError(f"{at}: an inconclusive run has no class, got {known.klass!r}; leave it out")
    return known


def _strays(known: dict[str, Known]) -> list[str]:
    """Return a line for each name that is missing in a shipped suite. Other suites are not checked."""
    shipped = {suite: {path.stem for path in files} for suite, files in suites.shipped().items()}
    split = {name: name.split("/") for name in known}
    return [
        f"no scenario is called {called!r}; {suggest(called, {f'{suite}/{other}' for other in shipped[suite]})}"
        for called, (suite, name) in split.items()
        if suite in shipped and name not in shipped[suite]
    ]


def renewed(before: Baseline | None, done: Sequence[RunResult]) -> Baseline:
    """Return a baseline with these failures, earlier reasons, and known failures that these runs did not test.

    Inconclusive runs are not added. They must be added by hand.
    """
    old = {} if before is None else before.known
    failed = {named(run): class_of(run) for run in reversed(done) if run.verdict.word == "failed"}
    passed = set(before.fixed(done)) if before is not None else set()
    kept = {name: known for name, known in old.items() if name not in failed and name not in passed}
    made = {name: Known("failed", klass, old[name].why if name in old else "") for name, klass in failed.items()}
    return Baseline(dict(sorted((kept | made).items())), before is not None and before.strict)


def render(baseline: Baseline, done: Sequence[RunResult]) -> str:
    """The text of a baseline, with evidence from these runs as comments."""
    evidence = {named(run): run.verdict.why for run in reversed(done) if run.verdict.word != "passed"}
    lines = [_HEAD + "strict = true" if baseline.strict else _HEAD.rstrip(), "", "[known]"]
    for name, known in baseline.known.items():
        if name in evidence:
            lines.append(f"# {_printable(evidence[name])}")
        fields = {"verdict": known.verdict, "class": known.klass, "why": known.why}
        shown = ", ".join(f"{key} = {_quoted(value)}" for key, value in fields.items() if value is not None)
        lines.append(f"{_quoted(name)} = {{ {shown} }}")
    return "\n".join([*lines, ""])


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _quoted(text: str) -> str:
    # JSON strings are TOML basic strings, except for DEL, which JSON does not escape.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
