"""Puts what a sweep printed into docs/grace.md: ``COLUMNS=100 halfopen grace ... | python -m benchmarks.curve``.

An argument names another section than ``curve``. Progress is left out, and where files went.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from benchmarks import document

SECTION = "curve"
DOCUMENT = document.DOCUMENT.with_name("grace.md")
#: How far it was, and where plots and results are, is of no use to a reader.
_LEFT_OUT = re.compile(
    r"^(?:[\d,]+ of [\d,]+ sessions; .*|plot: .*|resumed: .*|interrupted; .*|0 runs in .*|\d+ to look into .*)\n",
    re.MULTILINE,
)
_PLACES = re.compile(r"; results: .*")


def cleaned(printed: str) -> str:
    """What is worth keeping of it, as a block of a document."""
    kept = _PLACES.sub("", _LEFT_OUT.sub("", printed))
    lines = "\n".join(line.rstrip() for line in kept.strip().splitlines())
    return f"```console\n{lines}\n```"


def main(arguments: Sequence[str]) -> int:
    section = arguments[0] if arguments else SECTION
    document.put(section, f"\n{cleaned(sys.stdin.read())}", DOCUMENT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
