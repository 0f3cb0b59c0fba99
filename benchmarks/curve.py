"""Put a sweep's output into docs/grace.md: ``COLUMNS=100 halfopen grace ... | python -m benchmarks.curve``.

Keeps everything from the first line to the command that repeats the sweep, without progress and file locations.
"""

from __future__ import annotations

import re
import sys

from benchmarks import document

SECTION = "curve"
DOCUMENT = document.DOCUMENT.with_name("grace.md")
#: Progress, and the locations of results, are of no use to a reader.
_LEFT_OUT = re.compile(
    r"^(?:[\d,]+ of [\d,]+ sessions; .*|resumed: .*|interrupted; .*|more: .*|0 runs in .*"
    r"|\d+ to look into .*|takes about .*)\n",
    re.MULTILINE,
)
_PLACES, _GAPS = re.compile(r"; results: .*"), re.compile(r"\n{3,}")


def cleaned(printed: str) -> str:
    """Return the useful lines as a block of a document. Raises AssertionError if the output is incomplete."""
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
