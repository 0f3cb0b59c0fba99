"""Changes to a kernel's source: texts in its files that are known, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in a file of the source, which must be there once, and what it becomes."""

    file: str
    before: str
    after: str


def apply(edits: Sequence[Edit], tree: Path) -> bool:
    """Make all the changes to the source in ``tree``; False, and nothing is changed, if one cannot be made."""
    try:
        texts = {edit.file: (tree / edit.file).read_text() for edit in edits}
    except FileNotFoundError:
        return False
    if any(texts[edit.file].count(edit.before) != 1 for edit in edits):
        return False
    # Backwards: what an edit puts in is not to be looked through by another.
    for edit in reversed(edits):
        texts[edit.file] = texts[edit.file].replace(edit.before, edit.after)
    for file, text in texts.items():
        (tree / file).write_text(text)
    return True
