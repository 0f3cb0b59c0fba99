"""The values that pass between plan, guests, files and estimates: sessions, candidates and results."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from halfopen.netns.units import show_duration
from halfopen.scenario.target_spec import TargetSpec

Part = Literal["mix", "dead", "staircase"]
"""``mix``: live sessions drawn by the mix's weights. Only these count for the false-reap rate.

``dead``: dead clients of every kind. ``staircase``: outages of every length at every phase of the backoff.
"""

Came = Literal["reaped", "kept", "closed", "unproved"]
"""``unproved``: the run does not prove that its fault happened as described. It counts for nothing."""


class Draw(msgspec.Struct, frozen=True):
    """A session to be tried, written out in full. Anybody can repeat it with ``halfopen run FILE``."""

    number: int
    part: Part
    cause: str
    """The condition's name in the mix (``outage``, ``slow-reader``, ``frozen``), or ``staircase``."""
    name: str
    """The unique stem of its file: ``0017-outage-27s-rtt300``."""
    scenario: str
    """The whole scenario, TOML."""
    facts: dict[str, float] = {}
    """The numbers that were drawn, durations in seconds: ``{"outage_s": 27.0, "rtt_s": 0.3, "phase": 0.25}``."""


class Candidate(msgspec.Struct, frozen=True):
    """A detector with its settings, to be compared with others. Durations are in seconds."""

    grace: float
    poll: float
    detector: str | None = None
    """One of the pod's detectors. None means the server's own."""

    @property
    def label(self) -> str:
        """Its name in tables: ``bytes-acked grace 30s poll 2s``. A server has a grace, but no poll of ours."""
        grace = f"grace {show_duration(self.grace)}"
        return grace if self.detector is None else f"{self.detector} {grace} poll {show_duration(self.poll)}"


class Sweep(msgspec.Struct, frozen=True):
    """All inputs of a sweep. They determine its results."""

    seed: int
    draws: tuple[Draw, ...]
    candidates: tuple[Candidate, ...]
    target: TargetSpec = TargetSpec()
    grace_argument: str | None = None
    """Added to the target's command to set its grace; contains ``{grace}``."""
    confirm: float = 0.02
    """Share of the replayed draws that are also really run, 0 to 1."""

    @property
    def fingerprint(self) -> str:
        """A hash of all inputs."""
        return _fingerprint(self)


class Batch(msgspec.Struct, frozen=True):
    """Draws that run one after the other in one guest: the unit of work, of resuming and of repetition."""

    number: int
    seed: int
    """The sweep's seed, so that a draw has the same random numbers in any batch."""
    draws: tuple[Draw, ...]
    candidates: tuple[Candidate, ...]
    """All candidates of the sweep, in its order."""
    acting: int | None
    """Number of the candidate that acts. None: recorded without a detector, then replayed."""
    replayed: tuple[int, ...] = ()
    """Numbers of the candidates to replay the draws for."""
    target: TargetSpec = TargetSpec()
    grace_argument: str | None = None

    @property
    def fingerprint(self) -> str:
        """A hash that is equal for batches with equal results, whatever their number."""
        return _fingerprint(msgspec.structs.replace(self, number=0))


class Phases(msgspec.Struct, frozen=True):
    """Outcomes of a recorded session if the detector's samples had come earlier or later, at the same poll."""

    reaped: int
    tried: int
    worst: bool
    """True if it is reaped when a sample falls on its longest stall's onset. Then none of the stall is missed."""


class Trial(msgspec.Struct, frozen=True):
    """The result of one draw with one candidate. Moments are in seconds since its session began."""

    draw: int
    candidate: int
    really: bool
    """True if the detector itself acted. False: replayed from the kernel's samples."""
    came: Came
    why: str
    """One sentence with the evidence."""
    fault_at: float | None
    onset: float | None
    """The start of the stall in which the session was lost, or of the longest.

    None without a stall, and if no stall ended the session: the client's kernel closed it.
    """
    reaped_at: float | None
    longest_stall: float
    """Seconds."""
    duration: float
    """Seconds that the session was observed, by the lab's clock."""
    foretold: bool = False
    """For a real run: True if its own samples, up to its end, were replayed too."""
    foretold_at: float | None = None
    """The moment of the reap in that replay; None if there was none. To be compared with ``reaped_at``."""
    heard_at: float | None = None
    """The last acknowledgement of a byte before the onset. A detector cannot count from an earlier moment."""
    phases: Phases | None = None
    """For a replayed staircase: the results at phases spread evenly over the poll."""
    brink: tuple[float | None, ...] = ()
    """For a replay: other possible moments of the reap (None: no reap) if samples had come slightly earlier or later.

    Real samples vary like that.
    """


class BatchResult(msgspec.Struct, frozen=True):
    """The results of a batch."""

    number: int
    tried: list[Trial]
    wall: float
    """Seconds of real time."""
    kernel: str
    congestion_control: str


def _fingerprint(value: Sweep | Batch) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
