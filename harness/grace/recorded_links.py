"""Sessions over a recorded link: each replays some stretch of a trace. Pure except for reading."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halfopen.errors import InputError
from halfopen.grace.conditions import OF_TRACES
from halfopen.grace.trials import Draw
from halfopen.model import link_trace
from halfopen.model.link_trace import Trace
from halfopen.netns.units import plain

#: Seconds of a longer recording that a session replays.
STRETCH = 60.0
#: Seconds. The replay begins between the first two, a span of several detector samples and slices of the stream. The
#: third is extra observation time, after the replay and the worst effects of an outage in it.
_FROM, _UNTIL, _ROOM = 4.0, 8.0, 10.0

#: Characters of a recording's name, which becomes part of file names.
_LONGEST_NAME = 40

_TEMPLATE = """\
# Drawn by halfopen grace: {title}.
title = "{title}"
story = "A healthy user, on a link that did once what it does here."
truth = "alive"

[client]
behaviour = "acking"
receive_buffer = "128KiB"

[pod]
slice_size = "4KiB"
slice_interval = "200ms"

[[step]]
at = "{at:g}s"
fault = "replay"
for = "{length}s"
trace = \"\"\"
{trace}\"\"\"

[expect]
session = "kept"
hold = "{hold}s"
"""


@dataclass(frozen=True, slots=True)
class RecordedLink:
    """A recording and its name as a cause."""

    cause: str
    trace: Trace


def load(path: Path) -> RecordedLink:
    """Load a recording, named after its file; raises InputError that names the file and the line."""
    return RecordedLink(_cause(path), link_trace.load(path))


def load_all(paths: Sequence[Path]) -> list[RecordedLink]:
    """Load several recordings; raises InputError, also if two would have the same name."""
    called: dict[str, Path] = {}
    for path in paths:
        cause = _cause(path)
        if cause in called:
            raise InputError(f"--trace {called[cause]} and --trace {path} would both be called {cause!r}; rename one")
        called[cause] = path
    return [load(path) for path in paths]


def _cause(path: Path) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", path.stem.lower())[:_LONGEST_NAME].strip("-")
    return OF_TRACES + (slug or "unnamed")


def draw(which: RecordedLink, number: int, rng: random.Random) -> Draw:
    """Return a session over a stretch that begins anywhere in the recording."""
    length = min(STRETCH, which.trace.length)
    start = round(rng.uniform(0.0, which.trace.length - length), 3)
    at = round(rng.uniform(_FROM, _UNTIL), 3)
    stretch = which.trace.window(start, length)
    text = _TEMPLATE.format(
        title=f"Recorded link {which.cause.removeprefix(OF_TRACES)}, from {start:g} s on",
        at=at,
        length=plain(stretch.length),
        trace=stretch.text,
        hold=f"{stretch.length + 2 * stretch.longest_dark + _ROOM:g}",
    )
    return Draw(
        number=number,
        part="mix",
        cause=which.cause,
        name=f"{number:04}-{which.cause}-from-{start:.0f}s",
        scenario=text,
        facts={"from_s": start, "length_s": stretch.length, "outage_s": stretch.longest_dark, "at_s": at},
    )
