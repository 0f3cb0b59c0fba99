from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace import mix, plan
from halfopen.grace.trials import Candidate, Draw, Part, Sweep
from halfopen.scenario.target_spec import TargetSpec

PARTS: tuple[Part, ...] = ("mix", "dead", "staircase")


def draws(**counts: int) -> tuple[Draw, ...]:
    kinds = [part for part in PARTS for _ in range(counts.get(part, 0))]
    return tuple(Draw(n, part, part, f"{n:04d}-{part}", "") for n, part in enumerate(kinds))


def graces(detector: str | None = "bytes-acked") -> tuple[Candidate, ...]:
    return tuple(Candidate(grace, 2.0, detector) for grace in (5.0, 30.0))


@given(mix=st.integers(0, 70), dead=st.integers(0, 50), staircase=st.integers(0, 90), confirm=st.floats(0, 1))
def test_every_draw_is_tried_once_with_every_candidate(mix: int, dead: int, staircase: int, confirm: float) -> None:
    everything = draws(mix=mix, dead=dead, staircase=staircase)
    sweep = Sweep(1, everything, (*graces(), *graces("ack-stall")), confirm=confirm)
    todo = plan.batches(sweep)
    assert [batch.number for batch in todo] == list(range(len(todo)))
    really = Counter((draw.number, batch.acting) for batch in todo for draw in batch.draws)
    replayed = Counter(
        (draw.number, number) for batch in todo if batch.acting is None for draw in batch.draws for number in (0, 1)
    )
    assert {*really.values(), *replayed.values()} <= {1}
    assert all(replayed[draw.number, n] == 1 for draw in everything for n in (0, 1))
    assert all(really[draw.number, n] == 1 for draw in everything for n in (2, 3))
    for its in (everything[: mix + dead], everything[mix + dead :]):
        confirmed = sum(really[draw.number, n] for draw in its for n in (0, 1))
        assert confirmed == sum(nth < confirm * len(its) for nth in range(len(its)))


def test_of_each_part_there_is_something_early_on() -> None:
    todo = plan.batches(Sweep(1, draws(mix=600, dead=120, staircase=280), graces(), confirm=0.0))
    first = todo[: len(todo) // 3]
    assert {draw.part for batch in first for draw in batch.draws} == set(PARTS)


def test_the_same_sweep_is_divided_in_the_same_way() -> None:
    sweep = Sweep(5, draws(mix=100, dead=50, staircase=50), graces(), confirm=0.1)
    assert plan.batches(sweep) == plan.batches(msgspec.json.decode(msgspec.json.encode(sweep), type=Sweep))


def test_a_sweep_of_more_runs_has_the_whole_batches_of_one_of_fewer() -> None:
    drawn = mix.read()
    less, more = (Sweep(3, mix.draws(drawn, 3, runs), (*graces(), *graces("outq"))) for runs in (1010, 1500))
    known = {batch.fingerprint for batch in plan.batches(more)}
    lost = [batch for batch in plan.batches(less) if batch.fingerprint not in known]
    # The last batch that was not full, of live and dead, each recorded once and run with two, and of the confirmed
    # ones.
    assert len(lost) == 7
    assert all(len(batch.draws) < plan.SIZE for batch in lost)


def test_somebody_elses_server_is_never_replayed() -> None:
    sweep = Sweep(1, draws(mix=3), graces(None), TargetSpec(server="serve {port}"), "--timeout {grace}", confirm=1.0)
    todo = plan.batches(sweep)
    assert [(batch.acting, batch.replayed) for batch in todo] == [(0, ()), (1, ())]
