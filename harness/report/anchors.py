"""What a run is called in the address of a report: ``report.html#frozen``. Pure."""

from __future__ import annotations

import re

#: What may stand in the fragment of a URL as it is (RFC 3986, section 3.5), but for ``~``, which escapes the rest.
_OTHER = re.compile(r"[^A-Za-z0-9._/-]")


def anchor(label: str) -> str:
    """The fragment that leads to the run of this label: unlike that of any other, and safe in a URL.

    Letters, digits, dots, dashes and slashes stay; anything else is written as its code point: ``~20~``.
    """
    return _OTHER.sub(lambda found: f"~{ord(found[0]):x}~", label)
