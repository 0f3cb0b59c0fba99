"""What is tried, with what, and what came of it: the values that pass between plan, guests, files and estimates."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from halfopen.netns.units import show_duration
from halfopen.scenario.target_spec import TargetSpec

Part = Literal["mix", "dead", "staircase"]
"""``mix``: alive sessions drawn by the mix's weights, of which alone the false-reap rate is told. ``dead``: dead
clients of every kind. ``staircase``: outages of every length at every phase of the backoff."""

Came = Literal["reaped", "kept", "closed", "unproved"]
"""``unproved``: the run does not show that what was to happen to its client did happen; it counts for nothing."""


class Draw(msgspec.Struct, frozen=True):
    """One session to be tried, written out in full: anybody can run it again with ``halfopen run FILE``."""

    number: int
    part: Part
    cause: str
    """The condition's name in the mix: ``outage``, ``slow-reader``, ``frozen``; of a staircase ``staircase``."""
    name: str
    """The stem of its file, unlike any other's: ``0017-outage-27s-rtt300``."""
    scenario: str
    """The whole scenario, TOML."""
    facts: dict[str, float] = {}
    """The numbers that were drawn, durations in seconds: ``{"outage_s": 27.0, "rtt_s": 0.3, "phase": 0.25}``."""


class Contender(msgspec.Struct, frozen=True):
    """What is compared with others: a detector with its settings, durations in seconds."""

    grace: float
    poll: float
    detector: str | None = None
    """One of the pod's; None: the server's own."""

    @property
    def label(self) -> str:
        """How it is called in tables: ``bytes-acked grace 30s poll 2s``; a server has a grace, but no poll of ours."""
        grace = f"grace {show_duration(self.grace)}"
        return grace if self.detector is None else f"{self.detector} {grace} poll {show_duration(self.poll)}"


class Sweep(msgspec.Struct, frozen=True):
    """All that determines what comes out."""

    seed: int
    draws: tuple[Draw, ...]
    contenders: tuple[Contender, ...]
    target: TargetSpec = TargetSpec()
    grace_argument: str | None = None
    """What is added to the target's command to set its grace, with ``{grace}`` in it."""
    confirm: float = 0.02
    """Which share of the draws that are replayed is also run really, 0 to 1."""

    @property
    def fingerprint(self) -> str:
        """The same for the same sweep, and only for that."""
        return _fingerprint(self)


class Batch(msgspec.Struct, frozen=True):
    """Draws that are run one after the other in one guest: the unit of work, of resuming, and of what is repeatable."""

    number: int
    seed: int
    """The sweep's, for a draw to have the same random numbers in whatever batch."""
    draws: tuple[Draw, ...]
    contenders: tuple[Contender, ...]
    """The sweep's, in its order."""
    acting: int | None
    """The number of the contender that they are really run with; None: recorded with no detector and replayed."""
    replayed: tuple[int, ...] = ()
    """The numbers of the contenders that they are replayed for."""
    target: TargetSpec = TargetSpec()
    grace_argument: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for all batches of which the same comes, whatever their number."""
        return _fingerprint(msgspec.structs.replace(self, number=0))


class Phases(msgspec.Struct, frozen=True):
    """What would have come of a recorded session if the detector had looked at other moments, as far apart as ever."""

    reaped: int
    tried: int
    worst: bool
    """Whether it is reaped if a look falls on the onset of its longest stall: then none of the stall is missed."""


class Tried(msgspec.Struct, frozen=True):
    """What came of one draw with one contender; moments in seconds since its session began."""

    draw: int
    contender: int
    really: bool
    """Whether the detector itself acted; False: replayed over what the kernel showed."""
    came: Came
    why: str
    """One sentence with the evidence."""
    fault_at: float | None
    onset: float | None
    """When the stall began in which the session was lost, or the longest; None without any, and where the end was no
    stall's: the client's kernel said that it was gone."""
    reaped_at: float | None
    longest_stall: float
    """Seconds."""
    duration: float
    """For how long the session was looked at, lab seconds."""
    foretold: bool = False
    """Of a real run: whether its own samples were replayed too, up to its end."""
    foretold_at: float | None = None
    """When it would have been reaped by that; None: not at all. To be compared with ``reaped_at``."""
    heard_at: float | None = None
    """When a byte was last acknowledged, before the onset: a detector cannot count from before that."""
    phases: Phases | None = None
    """Of the staircase, where it was replayed: at phases spread evenly over the poll."""
    brink: tuple[float | None, ...] = ()
    """Where it was replayed, when else it might have been reaped (None: not at all) if looks had come a moment sooner
    or later: real ones do."""


class Batched(msgspec.Struct, frozen=True):
    """What came of a batch."""

    number: int
    tried: list[Tried]
    wall: float
    """Seconds of real time."""
    kernel: str
    congestion_control: str


def _fingerprint(value: Sweep | Batch) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
