"""Check the project's prose for its worst habits: ``scripts/prose.py [FILE...]``, or README, docs and all code.

Markdown, without code and tables: counts "who", "what" and "which", and semicolons, for each 1,000 words. Python: lists
docstrings that open with a word like "What" or "Whether". Exits with 1 if anything exceeds its limit.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Limits for each 1,000 words of all documents together.
RELATIVES, SEMICOLONS = 6.0, 4.0
OPENERS = {"What", "Whether", "Who", "Whom", "Whose", "Where", "How", "So", "Of"}


def prose(text: str) -> str:
    """Return the text of a Markdown document without code, tables, links' addresses and comments."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("|"))
    text = re.sub(r"`[^`]*`", "code", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def counts(text: str) -> tuple[int, int, int]:
    """Return the numbers of words, relatives and semicolons."""
    words = re.findall(r"[A-Za-z0-9'-]+", text)
    return len(words), sum(word.lower() in {"who", "what", "which"} for word in words), text.count(";")


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def sources() -> list[Path]:
    folders = ("harness", "netns", "tests", "benchmarks", "scripts")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if not path.is_symlink())


def openers(path: Path) -> Iterator[str]:
    """Yield each docstring, also of a constant or a field, that opens with one of OPENERS."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            first = node.value.value.split(maxsplit=1)
            if first and first[0].strip(",:") in OPENERS:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: docstring opens with {first[0]!r}"


def main(names: list[str]) -> int:
    files = [Path(name).resolve() for name in names] or [*documents(), *sources()]
    texts = [path for path in files if path.suffix == ".md"]
    found = [line for path in files if path.suffix == ".py" for line in openers(path)]
    for line in found:
        print(line)
    total = [0, 0, 0]
    for path in texts:
        words, relatives, semicolons = counts(prose(path.read_text()))
        total = [one + more for one, more in zip(total, (words, relatives, semicolons), strict=True)]
        if names and words:
            each = f"{1000 * relatives / words:.1f} who/what/which, {1000 * semicolons / words:.1f} semicolons"
            print(f"{path.name}: {words} words; for each 1,000: {each}")
    is_bad = bool(found)
    if total[0]:
        often = [1000 * count / total[0] for count in total[1:]]
        print(
            f"{total[0]} words of documents; for each 1,000: {often[0]:.1f} who/what/which (limit {RELATIVES:g}), "
            f"{often[1]:.1f} semicolons (limit {SEMICOLONS:g})"
        )
        is_bad |= often[0] > RELATIVES or often[1] > SEMICOLONS
    print(f"{len(found)} docstrings open with a word that makes a clause of them")
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
