"""A run as a table cell: right results are lower-case or a number, wrong ones upper-case or marked. Pure."""

from __future__ import annotations

from halfopen.verdict.judge import Class, Word

LETTERS: dict[Class, str] = {
    "true_reap": "r",  # replaced by the number of seconds if there is one
    "missed": "M",
    "false_reap": "F",
    "true_keep": "k",
    "closed": "c",
    "not_opened": "N",
}
_WRONG_BY_THEMSELVES = ("missed", "false_reap", "not_opened")

LEGEND = (
    "31  true reap, after so many seconds of stall    k  true keep   M  missed",
    "31' the same, counted from the fault             c  closed      F  false reap",
    "!   and yet wrong: too late, or not all over     N  not opened  ?  inconclusive",
)


def cell(word: Word, klass: Class, seconds: float | None, *, from_fault: bool) -> str:
    """At most five characters. ``seconds`` is the latency of a true reap, from the fault or from the stall."""
    if word == "inconclusive":
        return "?"
    shown = LETTERS[klass] if seconds is None else f"{seconds:.0f}{chr(39) if from_fault else ''}"
    return shown + ("!" if word == "failed" and klass not in _WRONG_BY_THEMSELVES else "")
