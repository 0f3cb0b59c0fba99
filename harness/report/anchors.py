"""The name of a run in the address of a report: ``report.html#frozen``. Pure."""

from __future__ import annotations

import re

#: Matches all but characters that a URL's fragment may hold (RFC 3986, section 3.5). ``~`` matches: it begins escapes.
_OTHER = re.compile(r"[^A-Za-z0-9._/-]")


def anchor(label: str) -> str:
    """Return the URL-safe fragment that leads to the run of this label. It is unique to the label.

    Letters, digits, dots, dashes, underscores and slashes stay. Anything else becomes its code point: ``~20~``.
    """
    return _OTHER.sub(lambda found: f"~{ord(found[0]):x}~", label)
