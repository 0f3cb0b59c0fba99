"""The draws of a sweep: sessions from a mix, sessions over recorded links, and the staircase. Pure except for reading.

The staircase has outages of every length at every phase of the backoff, for the curve of false reaps against length.
The intervals between retransmissions double (RFC 6298, section 5.5), so an outage's stall depends on where it ends
among them. Lengths are spread within each step, and starts over the stream's slices and a detector's samples.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from halfopen.errors import InputError
from halfopen.grace.mix import OF_TRACES, Condition, Mix, fill
from halfopen.grace.sweep import Draw, Part
from halfopen.model import link_trace
from halfopen.model.link_trace import Trace
from halfopen.netns.units import plain

#: The number of the staircase's first draw.
MOST_RUNS = 1_000_000


def draw_all(
    mix: Mix, seed: int, runs: int, staircase: bool | None = True, traces: Sequence[RecordedLink] = ()
) -> tuple[Draw, ...]:
    """Draw ``runs`` sessions from the mix, at most MOST_RUNS; append the staircase's if asked for.

    ``staircase`` None: as much of it as a sweep of this size deserves (:func:`steps_for`).

    Each draw has a random sequence of its own. The same seed gives the same nth draw, however many there are, and the
    same staircase.
    """
    assert runs <= MOST_RUNS
    drawn = [_draw(mix, seed, number, traces) for number in range(runs)]
    if staircase is False:
        return tuple(drawn)
    return (*drawn, *staircase_draws(seed, MOST_RUNS, WHOLE if staircase else steps_for(runs)))


def _draw(mix: Mix, seed: int, number: int, traces: Sequence[RecordedLink]) -> Draw:
    rng = random.Random(f"{seed}/draw/{number}")
    # Dead clients are spread so that the first n runs always contain their share.
    if math.floor((number + 1) * mix.dead_runs) > math.floor(number * mix.dead_runs):
        return _under_condition("dead", mix.dead, seed, number, rng)
    # Draw in any case, so that the following numbers are the same with and without recordings.
    if rng.random() < mix.recorded_runs and traces:
        return over_recorded_link(traces[rng.randrange(len(traces))], number, rng)
    return _under_condition("mix", mix.alive, seed, number, rng)


def _under_condition(part: Part, conditions: Sequence[Condition], seed: int, number: int, rng: random.Random) -> Draw:
    condition = rng.choices(conditions, [condition.weight for condition in conditions])[0]
    values = condition.draw(rng)
    comment = f"# Drawn by halfopen grace from the condition {condition.name!r}: seed {seed}, draw {number}."
    name = f"{number:04}-{condition.name}"
    if "outage" in values:
        name += f"-{values['outage'].value:.1f}s".replace(".0s", "s")
    if "rtt" in values:
        name += f"-rtt{values['rtt'].value * 1000:.0f}"
    return Draw(
        number=number,
        part=part,
        cause=condition.name,
        name=name,
        scenario=f"{comment}\n{fill(condition.template, values, condition.name).strip()}\n",
        facts={quantity.fact(name): quantity.value for name, quantity in values.items()},
    )


# ---- recorded links ------------------------------------------------------------------------------------------------

#: Seconds of a longer recording that a session replays.
STRETCH = 60.0
#: Seconds. The replay begins between the first two, a span of several detector samples and slices of the stream. The
#: third is extra observation time, after the replay and the worst effects of an outage in it.
_BEGIN, _UNTIL, _HOLD = 4.0, 8.0, 10.0

#: Characters of a recording's name, which becomes part of file names.
_LONGEST_NAME = 40

_RECORDED = """\
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


def load_links(paths: Sequence[Path]) -> list[RecordedLink]:
    """Load recordings, named after their files. Raises InputError, also if two would have the same name."""
    named: dict[str, Path] = {}
    for path in paths:
        slug = re.sub(r"[^a-z0-9]+", "-", path.stem.lower())[:_LONGEST_NAME].strip("-")
        cause = OF_TRACES + (slug or "unnamed")
        if cause in named:
            raise InputError(f"--trace {named[cause]} and --trace {path} would both be called {cause!r}; rename one")
        named[cause] = path
    return [RecordedLink(cause, link_trace.load(path)) for cause, path in named.items()]


def over_recorded_link(which: RecordedLink, number: int, rng: random.Random) -> Draw:
    """Return a session over a stretch that begins anywhere in the recording."""
    length = min(STRETCH, which.trace.length)
    start = round(rng.uniform(0.0, which.trace.length - length), 3)
    at = round(rng.uniform(_BEGIN, _UNTIL), 3)
    stretch = which.trace.window(start, length)
    text = _RECORDED.format(
        title=f"Recorded link {which.cause.removeprefix(OF_TRACES)}, from {start:g} s on",
        at=at,
        length=plain(stretch.length),
        trace=stretch.text,
        hold=f"{stretch.length + 2 * stretch.longest_dark + _HOLD:g}",
    )
    return Draw(
        number=number,
        part="mix",
        cause=which.cause,
        name=f"{number:04}-{which.cause}-from-{start:.0f}s",
        scenario=text,
        facts={"from_s": start, "length_s": stretch.length, "outage_s": stretch.longest_dark, "at_s": at},
    )


# ---- staircase -----------------------------------------------------------------------------------------------------

#: Seconds. The last is the longest outage.
LENGTHS = (1, 2, 3, 5, 7, 10, 12, 14, 17, 20, 22, 24, 27, 30, 35, 40, 45, 50, 55, 60, 75, 90, 105, 120)
#: Round trips, seconds.
ROUND_TRIPS = (0.02, 0.1, 0.3)
PHASES = 4

#: Seconds between two slices of the stream, and at most between two samples of a detector. Starts are spread over both,
#: from the third on.
_SLICE, _LOOK, _FROM = 0.2, 4.0, 4.0

_STEP = """\
# A step of the staircase of halfopen grace: an outage of {outage:g} s over a round trip of {rtt_ms:g} ms.
title = "Outage of {outage:g} s, round trip {rtt_ms:g} ms"
story = "The path is dark for {outage:g} seconds and heals; nothing goes on until the server's kernel tries again."
truth = "alive"

[client]
behaviour = "acking"
receive_buffer = "128KiB"

[link]
delay = "{delay_ms:g}ms"

[pod]
slice_size = "4KiB"
slice_interval = "{slice:g}s"

[[step]]
at = "{at:g}s"
fault = "cut"
for = "{outage:g}s"

# The first attempt after an outage of T comes 2 T and a timeout after its onset at the latest.
[expect]
session = "kept"
hold = "2 * {outage:g}s + {room:g}s"
"""
#: Seconds for the timeout, a round trip, and the first bytes after it.
_ROOM = 5.0


class Steps(NamedTuple):
    """A part of the staircase: every nth length, and so many of the phases."""

    nth: int
    phases: int

    @property
    def outages(self) -> int:
        """Number of its outages."""
        return len(LENGTHS) // self.nth * len(ROUND_TRIPS) * self.phases


WHOLE = Steps(1, PHASES)
#: From the most outages to the fewest.
_PARTS = (WHOLE, Steps(1, 2), Steps(1, 1), Steps(2, 1))


def steps_for(runs: int) -> Steps:
    """Return the part of the staircase for a sweep of so many runs: at most half as many outages, if possible."""
    return next((part for part in _PARTS if 2 * part.outages <= runs), _PARTS[-1])


def staircase_draws(seed: int, first: int, steps: Steps = WHOLE) -> Iterator[Draw]:
    """Yield the staircase, or a part of it, numbered from ``first`` on as in the whole.

    The seed pairs lengths with phases.
    """
    rng = random.Random(f"{seed}/staircase")
    number = first
    for nth, (length, following) in enumerate(pairwise((*LENGTHS, LENGTHS[-1])), 1):
        for rtt in ROUND_TRIPS:
            # Shuffle the pairs of start and length, or their effects could not be told apart.
            starts, looks = rng.sample(range(PHASES), PHASES), rng.sample(range(PHASES), PHASES)
            for part in range(PHASES):
                phase = part / PHASES
                at = _FROM + (looks[part] * _LOOK + starts[part] * _SLICE) / PHASES
                outage = length + (following - length) * phase
                if nth % steps.nth == 0 and part % (PHASES // steps.phases) == 0:
                    yield _step(number, f"staircase-{number - first:03}", outage, rtt, at, phase)
                number += 1


def _step(number: int, name: str, outage: float, rtt: float, at: float, phase: float) -> Draw:
    text = _STEP.format(outage=outage, rtt_ms=rtt * 1000, delay_ms=rtt * 500, slice=_SLICE, at=at, room=_ROOM)
    return Draw(
        number=number,
        part="staircase",
        cause="staircase",
        name=f"{name}-{outage:g}s-rtt{rtt * 1000:g}",
        scenario=text,
        facts={"outage_s": outage, "rtt_s": rtt, "phase": phase, "at_s": round(at, 6)},
    )
