"""Errors that a user can cause. Every message is one line: what, where, the value got, what would be right.

Only the output of a program that failed may be quoted below it (:data:`QUOTE`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class InputError(Exception):
    """The call or one of its inputs is wrong; nothing was started."""


class FaultError(Exception):
    """A fault cannot be injected here, for example because the server would have to help. Nothing is proved."""


class TargetError(InputError):
    """The server under test cannot be started, or never becomes ready."""


#: Begins a line of a program's output that is quoted below an error's one line.
QUOTE = "\n    | "


def quoted(lines: Sequence[str]) -> str:
    """Return a program's last output, as the end of an error: its last line, and below it all if there are more."""
    said = [line for line in lines if line.strip()]
    if not said:
        return ""
    below = "".join(f"{QUOTE}{line.rstrip()}" for line in said) if len(said) > 1 else ""
    return f"; it said: {_last_words(said)}{below}"


def _last_words(said: Sequence[str]) -> str:
    """Return the exception of the last traceback, or else the last line: the order of two streams means nothing."""
    heads = [number for number, line in enumerate(said) if line.startswith("Traceback (most recent call last):")]
    after = said[heads[-1] + 1 :] if heads else []
    return next((line for line in after if not line[0].isspace()), said[-1]).strip()


def reason_of(error: OSError | UnicodeError) -> str:
    """Return why a file cannot be read or written, worded to fit into a sentence that names the file."""
    if isinstance(error, UnicodeError):
        return "it is no text in UTF-8"
    return (error.strerror or str(error)).lower()


def suggest(got: str, known: Iterable[str]) -> str:
    """Return the hint for a wrong ``got``: the nearest known word, or all of them."""
    words = sorted(known)
    if not words:
        return "none is known here"
    near = difflib.get_close_matches(got, words, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(words)}"
