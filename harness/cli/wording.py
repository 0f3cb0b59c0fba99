"""Wording of refusals: one line that begins in lower case, whatever its source. Pure."""

from __future__ import annotations

import re

#: Prefixes that pydantic (typer's reader of values) puts before its own messages or an enumeration's.
_PREFIX = re.compile(r"(: )?(Value error, |Input should be )")


def refusal(sentence: str) -> str:
    """Rewrite the sentence in the style of our errors."""
    line = " ".join(sentence.split())
    line = _PREFIX.sub(lambda found: f"{found[1] or ''}{'it should be ' if found[2][0] == 'I' else ''}", line, count=1)
    return f"{line[:1].lower()}{line[1:]}".removesuffix(".")
