"""A sweep: its draws, candidates, batches and results. Pure.

The same sweep always gives the same batches, which can run anywhere. A larger sweep has nearly all batches of a smaller
one, in another order, so it can continue that one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from halfopen.grace.replay import Phases, rule_of
from halfopen.netns.units import show_duration
from halfopen.scenario.target_spec import TargetSpec

#: Number of draws that share a guest. Its boot then costs each draw less than its traffic does.
BATCH_SIZE = 20
#: The same for comparisons of real reaps with replayed ones, where each batch has another candidate.
_CONFIRMING_SIZE = 5
#: Observation time in seconds for a detector with times of its own. Pings every 20 s with a timeout of 90 s take 120.
_PATIENCE = 150.0
#: Seconds for an end beyond grace and poll, mainly for a closing handshake without an answer.
_MARGIN = 20.0

Part = Literal["mix", "dead", "staircase"]
"""``mix``: live sessions drawn by the mix's weights. Only these count for the false-reap rate.

``dead``: dead clients of every kind. ``staircase``: outages of every length at every phase of the backoff.
"""

TrialOutcome = Literal["reaped", "kept", "closed", "unproved"]
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
    """Share of the replayed draws that are also run for real, 0 to 1."""

    @property
    def fingerprint(self) -> str:
        """A hash of all inputs."""
        return _fingerprint(self)

    @property
    def replayed(self) -> tuple[int, ...]:
        """Numbers of the candidates whose results are read off sessions in which no detector acted."""
        is_pod = self.target.is_pod
        return tuple(n for n, candidate in enumerate(self.candidates) if is_pod and rule_of(candidate.detector))

    def batches(self) -> tuple[Batch, ...]:
        """Divide the draws, in the best order to run, which gives early results for each part."""
        replayed = self.replayed
        others = [number for number in range(len(self.candidates)) if number not in replayed]
        numbers = [None, *others] if replayed else others
        kinds = [list(_shares(self.draws, part, numbers)) for part in ("mix", "dead", "staircase")]
        kinds.append(list(_confirming(self, replayed)))
        # Spread each kind evenly over the whole, in its own order.
        places = sorted(((n + 0.5) / len(kind), k, n) for k, kind in enumerate(kinds) for n in range(len(kind)))
        return tuple(
            Batch(
                number=number,
                seed=self.seed,
                draws=draws,
                candidates=self.candidates,
                acting=acting,
                replayed=replayed if acting is None else (),
                target=self.target,
                grace_argument=self.grace_argument,
            )
            for number, (draws, acting) in enumerate(kinds[k][n] for _, k, n in places)
        )


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


class Trial(msgspec.Struct, frozen=True):
    """The result of one draw with one candidate. Moments are in seconds since its session began."""

    draw: int
    candidate: int
    real: bool
    """True if the detector itself acted. False: replayed from the kernel's samples."""
    outcome: TrialOutcome
    why: str
    """One sentence with the evidence."""
    fault_at: float | None = None
    onset: float | None = None
    """The start of the stall in which the session was lost, or of the longest.

    None without a stall, and if no stall ended the session: the client's kernel closed it.
    """
    reaped_at: float | None = None
    longest_stall: float = 0.0
    """Seconds."""
    duration: float = 0.0
    """Seconds that the session was observed, by the lab's clock."""
    predicted: bool = False
    """For a real run: True if its own samples, up to its end, were replayed too."""
    predicted_at: float | None = None
    """The moment of the reap in that replay; None if there was none. To be compared with ``reaped_at``."""
    heard_at: float | None = None
    """The last acknowledgement of a byte before the onset. A detector cannot count from an earlier moment."""
    phases: Phases | None = None
    """For a replayed staircase: the results at phases spread evenly over the poll."""
    alternatives: tuple[float | None, ...] = ()
    """For a replay: other possible moments of the reap (None: no reap) if samples had come slightly earlier or later.

    Real samples vary like that.
    """


class BatchResult(msgspec.Struct, frozen=True):
    """The results of a batch."""

    number: int
    trials: list[Trial]
    kernel: str
    congestion_control: str


def least_hold(candidates: Sequence[Candidate], number: int) -> float:
    """Return the least observation time in seconds of a session in which this candidate acts.

    Detectors that are not replayed get the same time for every grace. Otherwise their curve would show the observation
    time.
    """
    if rule_of(candidates[number].detector):
        return 0.0
    return max(_PATIENCE, *(candidate.grace + candidate.poll + _MARGIN for candidate in candidates))


_Share = tuple[tuple[Draw, ...], int | None]
"""Draws, and the number of the candidate that acts on them. None: they are recorded for all replayed candidates."""


def _shares(draws: Sequence[Draw], part: Part, numbers: Sequence[int | None]) -> Iterator[_Share]:
    """Yield every draw of a part, for each of the candidates ``numbers``."""
    for chunk in _chunks([draw for draw in draws if draw.part == part], BATCH_SIZE):
        yield from ((chunk, number) for number in numbers)


def _confirming(sweep: Sweep, replayed: Sequence[int]) -> Iterator[_Share]:
    """Yield some draws again, with a replayed candidate that acts."""
    for parts in (("mix", "dead"), ("staircase",)) if replayed else ():
        key = f"{sweep.seed}/confirm/{parts[0]}"
        chosen = list(_sample([draw for draw in sweep.draws if draw.part in parts], sweep.confirm, key))
        for nth, chunk in enumerate(_chunks(chosen, _CONFIRMING_SIZE)):
            yield chunk, random.Random(f"{key}/{nth}/candidate").choice(replayed)


def _sample(draws: Sequence[Draw], share: float, key: str) -> Iterator[Draw]:
    """Draw one of each stretch of draws. The choices for the first stretches are the same however many follow."""
    nth = 0
    while share > 0 and (first := nth / share) < len(draws):
        end = min(len(draws), (nth + 1) / share)
        yield draws[random.Random(f"{key}/{nth}").randrange(int(first), max(int(first) + 1, int(end)))]
        nth += 1


def _chunks(draws: Sequence[Draw], size: int) -> Iterator[tuple[Draw, ...]]:
    for first in range(0, len(draws), size):
        yield tuple(draws[first : first + size])


def _fingerprint(value: Sweep | Batch) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
