"""Divide a sweep into batches that can run anywhere. The same sweep always gives the same batches. Pure.

A larger sweep has nearly all batches of a smaller one, in another order, so it can continue that one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from halfopen.grace.replay import rule_of
from halfopen.grace.trials import Batch, Candidate, Draw, Part, Sweep

#: Number of draws that share a guest. Its boot then costs each draw less than its traffic does.
SIZE = 20
#: The same for comparisons of real reaps with replayed ones, where each batch has another candidate.
CONFIRMING_SIZE = 5
#: Observation time in seconds for a detector with times of its own. Pings every 20 s with a timeout of 90 s take 120.
_PATIENCE = 150.0
#: Seconds for an end beyond grace and poll, mainly for a closing handshake without an answer.
_MARGIN = 20.0

_DRAWN: tuple[Part, ...] = ("mix", "dead")
_PARTS: tuple[Part, ...] = (*_DRAWN, "staircase")
#: Draws, and the number of the candidate that acts on them. None: they are recorded for all replayed candidates.
_Share = tuple[tuple[Draw, ...], int | None]


def batches(sweep: Sweep) -> tuple[Batch, ...]:
    """Return the batches of a sweep in the best order to run, which gives early results for each part."""
    replayed = tuple(n for n in range(len(sweep.candidates)) if is_replayed(sweep, n))
    kinds = [list(_shares(sweep, part, is_recorded=bool(replayed))) for part in _PARTS]
    kinds.append(list(_confirming(sweep, replayed)))
    return tuple(
        Batch(
            number=number,
            seed=sweep.seed,
            draws=draws,
            candidates=sweep.candidates,
            acting=acting,
            replayed=replayed if acting is None else (),
            target=sweep.target,
            grace_argument=sweep.grace_argument,
        )
        for number, (draws, acting) in enumerate(_interleaved(kinds))
    )


def is_replayed(sweep: Sweep, number: int) -> bool:
    """True if this candidate's results are read off sessions in which no detector acted."""
    return sweep.target.is_pod and rule_of(sweep.candidates[number].detector) is not None


def least_hold(candidates: Sequence[Candidate], number: int) -> float:
    """Return the least observation time in seconds of a session in which this candidate acts.

    Detectors that are not replayed get the same time for every grace. Otherwise their curve would show the observation
    time.
    """
    if rule_of(candidates[number].detector):
        return 0.0
    return max(_PATIENCE, *(one.grace + one.poll + _MARGIN for one in candidates))


def _shares(sweep: Sweep, part: Part, *, is_recorded: bool) -> Iterator[_Share]:
    """Yield every draw of a part, for the replayed candidates together and for each other candidate."""
    acting = [n for n in range(len(sweep.candidates)) if not is_replayed(sweep, n)]
    numbers = [None, *acting] if is_recorded else acting
    for some in _chunks([draw for draw in sweep.draws if draw.part == part], SIZE):
        yield from ((some, number) for number in numbers)


def _confirming(sweep: Sweep, replayed: Sequence[int]) -> Iterator[_Share]:
    """Yield some draws again, with a replayed candidate that acts."""
    if not replayed:
        return
    for parts in _DRAWN, ("staircase",):
        whose = f"{sweep.seed}/confirm/{parts[0]}"
        chosen = list(_sample([draw for draw in sweep.draws if draw.part in parts], sweep.confirm, whose))
        for nth, some in enumerate(_chunks(chosen, CONFIRMING_SIZE)):
            yield some, random.Random(f"{whose}/{nth}/candidate").choice(replayed)


def _sample(draws: Sequence[Draw], share: float, whose: str) -> Iterator[Draw]:
    """Draw one of each stretch of draws. The choices for the first stretches are the same however many follow."""
    nth = 0
    while share > 0 and (first := nth / share) < len(draws):
        end = min(len(draws), (nth + 1) / share)
        yield draws[random.Random(f"{whose}/{nth}").randrange(int(first), max(int(first) + 1, int(end)))]
        nth += 1


def _chunks(draws: Sequence[Draw], size: int) -> Iterator[tuple[Draw, ...]]:
    for first in range(0, len(draws), size):
        yield tuple(draws[first : first + size])


def _interleaved(kinds: Sequence[Sequence[_Share]]) -> list[_Share]:
    """Spread each kind evenly over the whole, in its own order."""
    places = [((n + 0.5) / len(kind), k, n) for k, kind in enumerate(kinds) for n in range(len(kind))]
    return [kinds[k][n] for _, k, n in sorted(places)]
