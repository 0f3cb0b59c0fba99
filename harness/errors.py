"""Errors that a user can cause. Every message is one line: what, where, the value got, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """The call or one of its inputs is wrong; nothing was started."""


class FaultError(Exception):
    """A fault cannot be injected here, for example because the server would have to help. Nothing is proved."""


class TargetError(InputError):
    """The server under test cannot be started, or never becomes ready."""


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
