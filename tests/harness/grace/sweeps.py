"""Small sweeps for tests: outages that are survived or not, frozen and vanished clients."""

from __future__ import annotations

from collections.abc import Sequence

from halfopen.grace.sweep import BatchResult, Candidate, Draw, Part, Sweep, Trial

_TEMPLATE = """
title = "{name}"
story = "For a test."
truth = "{truth}"

[client]
behaviour = "{behaviour}"
receive_buffer = "128KiB"

[link]
delay = "{delay}"

[pod]
slice_size = "16KiB"
slice_interval = "200ms"

[[step]]
at = "{at}"
fault = "{fault}"
{lasting}

[expect]
session = "{session}"
{within}
hold = "{hold}s"
"""


def outage(number: int, seconds: float, *, hold: float = 40, part: Part = "staircase") -> Draw:
    """Return a draw in which the path is dark for ``seconds``."""
    name = f"{number:04d}-outage-{seconds:g}s"
    text = _TEMPLATE.format(
        name=name,
        truth="alive",
        behaviour="acking",
        delay="20ms",
        at=f"{4.07 + number / 10:.2f}s",
        fault="cut",
        lasting=f'for = "{seconds}s"',
        session="kept",
        within="",
        hold=hold,
    )
    return Draw(number, part, "outage", name, text, {"outage_s": seconds})


def dead(number: int, fault: str, *, hold: float = 40) -> Draw:
    """Return a draw in which the client is frozen, or vanishes."""
    name = f"{number:04d}-{fault}"
    text = _TEMPLATE.format(
        name=name,
        truth="dead",
        behaviour="draining",
        delay="20ms",
        at=f"{5.03 + number / 10:.2f}s",
        fault=fault,
        lasting="",
        session="reaped",
        within='within = "grace + poll + 1s"',
        hold=hold,
    )
    return Draw(number, "dead", fault, name, text)


def sweep(draws: Sequence[Draw], graces: Sequence[float] = (5.0, 10.0, 20.0), confirm: float = 0.0) -> Sweep:
    """Return a sweep of these draws over these graces of the pod's own detector, polled every 2 seconds."""
    return Sweep(7, tuple(draws), tuple(Candidate(grace, 2.0, "bytes-acked") for grace in graces), confirm=confirm)


def small() -> Sweep:
    """Return a sweep with a few draws of each kind."""
    alive = [outage(0, 3.0), outage(1, 8.0), outage(2, 2.0, part="mix")]
    return sweep([*alive, dead(3, "freeze"), dead(4, "vanish")], confirm=0.2)


def tried(draw: int, candidate: int = 0) -> Trial:
    """Return a trial with an uneventful result."""
    return Trial(draw, candidate, False, "kept", "kept for 40s", 4.0, None, None, 0.0, 44.0)


def batched(number: int, *draws: int) -> BatchResult:
    """Return the result of a batch, made by hand."""
    return BatchResult(number, [tried(draw) for draw in draws], "6.1", "cubic")
