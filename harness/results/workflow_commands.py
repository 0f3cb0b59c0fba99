"""GitHub's workflow commands: lines on stderr that its runner shows as annotations.

Commands and escapes follow actions/toolkit (packages/core/src/command.ts).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def is_here() -> bool:
    """True if this runs in a GitHub job."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def command(level: str, title: str, message: str) -> str:
    """One workflow command, always on one line."""
    return f"::{level} title={_property(title)}::{_data(message)}"


def say(lines: Sequence[str]) -> None:
    """Print lines on stderr, which GitHub reads too. stdout may be piped elsewhere."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
