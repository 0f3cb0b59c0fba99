"""How a refusal is worded: one line that begins in lower case, whoever's sentence it was. Pure."""

from __future__ import annotations

import re

#: What pydantic, by which typer reads values, puts before a sentence of its own or of an enumeration's.
_PREFIX = re.compile(r"(: )?(Value error, |Input should be )")


def refusal(sentence: str) -> str:
    """The sentence as all of ours are."""
    line = " ".join(sentence.split())
    line = _PREFIX.sub(lambda found: f"{found[1] or ''}{'it should be ' if found[2][0] == 'I' else ''}", line, count=1)
    return f"{line[:1].lower()}{line[1:]}".removesuffix(".")
