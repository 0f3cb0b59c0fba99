"""Put measurements into the docs, each between the markers of its section."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "clock.md"


def replaced(document: str, section: str, text: str) -> str:
    """Return the document with ``text`` between the section's markers. The first marker says how to repeat it."""
    pattern = rf"(<!-- {section}: begin [^\n]*-->\n)(.*?)(<!-- {section}: end -->)"
    places = list(re.finditer(pattern, document, re.DOTALL))
    assert len(places) == 1, f"section {section!r} is {len(places)} times in the document"
    (place,) = places
    return f"{document[: place.end(1)]}\n{text}\n\n{document[place.start(3) :]}"


def put(section: str, text: str, path: Path = DOCUMENT) -> None:
    """Write ``text`` into the document."""
    path.write_text(replaced(path.read_text(), section, text))
