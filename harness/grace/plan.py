"""Divides a sweep into batches, always the same for the same sweep, so that any of them can be done anywhere. Pure.

A sweep of more runs has nearly all batches of one of fewer, in another order, so that one can go on where it ended.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from halfopen.grace.model import Batch, Contender, Draw, Part, Sweep
from halfopen.grace.replay import RULES

#: So many draws share a guest: its boot then costs each of them less than their traffic does.
SIZE = 20
#: So many share one when real reaps are compared with replayed ones, where each batch is another contender's.
CONFIRMING_SIZE = 5
#: A detector with times of its own is given so long, seconds: pings every 20 s that are waited for 90 s take 120.
_PATIENCE = 150.0
#: What an end takes beyond grace and poll, seconds: a closing handshake that nobody answers, above all.
_MARGIN = 20.0

_DRAWN: tuple[Part, ...] = ("mix", "dead")
_PARTS: tuple[Part, ...] = (*_DRAWN, "staircase")
#: Draws, and the number of the contender that acts on them; None: they are recorded, for all that are replayed.
_Share = tuple[tuple[Draw, ...], int | None]


def batches(sweep: Sweep) -> tuple[Batch, ...]:
    """The batches of a sweep in the order in which they are best done: of each part something early on."""
    replayed = tuple(n for n in range(len(sweep.contenders)) if is_replayed(sweep, n))
    kinds = [list(_shares(sweep, part, is_recorded=bool(replayed))) for part in _PARTS]
    kinds.append(list(_confirming(sweep, replayed)))
    return tuple(
        Batch(
            number=number,
            seed=sweep.seed,
            draws=draws,
            contenders=sweep.contenders,
            acting=acting,
            replayed=replayed if acting is None else (),
            target=sweep.target,
            grace_argument=sweep.grace_argument,
        )
        for number, (draws, acting) in enumerate(_interleaved(kinds))
    )


def is_replayed(sweep: Sweep, number: int) -> bool:
    """Whether what this contender would have done is read off sessions in which nobody acted."""
    return sweep.target.is_pod and sweep.contenders[number].detector in RULES


def least_hold(contenders: Sequence[Contender], number: int) -> float:
    """For how long at least each session is looked at in which one of them acts, seconds.

    Who may not go by stalls alone is given the same time whatever its grace, or its curve would be that of the look.
    """
    if contenders[number].detector in RULES:
        return 0.0
    return max(_PATIENCE, *(one.grace + one.poll + _MARGIN for one in contenders))


def _shares(sweep: Sweep, part: Part, *, is_recorded: bool) -> Iterator[_Share]:
    """Every draw of a part, for the replayed contenders together and for each other one."""
    acting = [n for n in range(len(sweep.contenders)) if not is_replayed(sweep, n)]
    numbers = [None, *acting] if is_recorded else acting
    for some in _chunks([draw for draw in sweep.draws if draw.part == part], SIZE):
        yield from ((some, number) for number in numbers)


def _confirming(sweep: Sweep, replayed: Sequence[int]) -> Iterator[_Share]:
    """Some draws again, at a replayed contender that acts."""
    if not replayed:
        return
    for parts in _DRAWN, ("staircase",):
        whose = f"{sweep.seed}/confirm/{parts[0]}"
        chosen = list(_sample([draw for draw in sweep.draws if draw.part in parts], sweep.confirm, whose))
        for nth, some in enumerate(_chunks(chosen, CONFIRMING_SIZE)):
            yield some, random.Random(f"{whose}/{nth}/contender").choice(replayed)


def _sample(draws: Sequence[Draw], share: float, whose: str) -> Iterator[Draw]:
    """One drawn of each stretch of them, so that those of the first stretches are the same however many follow."""
    nth = 0
    while share > 0 and (first := nth / share) < len(draws):
        end = min(len(draws), (nth + 1) / share)
        yield draws[random.Random(f"{whose}/{nth}").randrange(int(first), max(int(first) + 1, int(end)))]
        nth += 1


def _chunks(draws: Sequence[Draw], size: int) -> Iterator[tuple[Draw, ...]]:
    for first in range(0, len(draws), size):
        yield tuple(draws[first : first + size])


def _interleaved(kinds: Sequence[Sequence[_Share]]) -> list[_Share]:
    """All of them, each kind spread evenly over the whole, its own order kept."""
    places = [((n + 0.5) / len(kind), k, n) for k, kind in enumerate(kinds) for n in range(len(kind))]
    return [kinds[k][n] for _, k, n in sorted(places)]
