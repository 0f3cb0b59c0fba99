"""Puts what a sweep printed into docs/grace.md: ``COLUMNS=100 halfopen grace ... | python -m benchmarks.curve``.

From its first line to how it is made again; left out are progress, and where files went.
"""

from __future__ import annotations

import re
import sys

from benchmarks import document

SECTION = "curve"
DOCUMENT = document.DOCUMENT.with_name("grace.md")
#: How far it was, and where plots and results are, is of no use to a reader.
_LEFT_OUT = re.compile(
    r"^(?:[\d,]+ of [\d,]+ sessions; .*|plot: .*|resumed: .*|interrupted; .*|more: .*|0 runs in .*"
    r"|\d+ to look into .*)\n",
    re.MULTILINE,
)
_PLACES, _GAPS = re.compile(r"; results: .*"), re.compile(r"\n{3,}")


def cleaned(printed: str) -> str:
    """What is worth keeping of it, as a block of a document; AssertionError where it is not all of it."""
    kept = _GAPS.sub("\n\n", _PLACES.sub("", _LEFT_OUT.sub("", printed)))
    lines = [line.rstrip() for line in kept.strip().splitlines()]
    whole = bool(lines) and lines[0].startswith("halfopen ") and lines[-1].startswith("again:")
    assert whole, f"no sweep's whole output: {lines[:1]} to {lines[-1:]}"
    return "\n".join(["```console", *lines, "```"])


def main() -> int:
    document.put(SECTION, f"\n{cleaned(sys.stdin.read())}", DOCUMENT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
