"""Outages of every length at every phase of the backoff, for the curve of false reaps against length. Pure.

The intervals between retransmissions double (RFC 6298, section 5.5), so an outage's stall depends on where it ends
among them. Lengths are spread within each step, and starts over the stream's slices and a detector's samples.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

from halfopen.grace.trials import Draw

#: Seconds. The last is the longest outage.
LENGTHS = (1, 2, 3, 5, 7, 10, 12, 14, 17, 20, 22, 24, 27, 30, 35, 40, 45, 50, 55, 60, 75, 90, 105, 120)
#: Round trips, seconds.
ROUND_TRIPS = (0.02, 0.1, 0.3)
PHASES = 4

#: Seconds between two slices of the stream, and at most between two samples of a detector. Starts are spread over both,
#: from the third on.
_SLICE, _LOOK, _FROM = 0.2, 4.0, 4.0

_TEMPLATE = """\
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


def staircase(seed: int, first: int) -> Iterator[Draw]:
    """Yield the whole staircase, numbered from ``first`` on. The seed pairs lengths with phases."""
    rng = random.Random(f"{seed}/staircase")
    number = first
    for length, following in pairwise((*LENGTHS, LENGTHS[-1])):
        for rtt in ROUND_TRIPS:
            # Shuffle the pairs of start and length, or their effects could not be told apart.
            starts, looks = rng.sample(range(PHASES), PHASES), rng.sample(range(PHASES), PHASES)
            for part in range(PHASES):
                phase = part / PHASES
                at = _FROM + (looks[part] * _LOOK + starts[part] * _SLICE) / PHASES
                outage = length + (following - length) * phase
                yield _step(number, f"staircase-{number - first:03}", outage, rtt, at, phase)
                number += 1


def _step(number: int, name: str, outage: float, rtt: float, at: float, phase: float) -> Draw:
    text = _TEMPLATE.format(outage=outage, rtt_ms=rtt * 1000, delay_ms=rtt * 500, slice=_SLICE, at=at, room=_ROOM)
    return Draw(
        number=number,
        part="staircase",
        cause="staircase",
        name=f"{name}-{outage:g}s-rtt{rtt * 1000:g}",
        scenario=text,
        facts={"outage_s": outage, "rtt_s": rtt, "phase": phase, "at_s": round(at, 6)},
    )
