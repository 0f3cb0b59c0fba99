"""A sweep's inputs, and its division into batches."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace import mix
from halfopen.grace.draws import draw_all
from halfopen.grace.sweep import BATCH_SIZE, Candidate, Draw, Part, Sweep
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.grace import sweeps

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
    todo = sweep.batches()
    assert [batch.number for batch in todo] == list(range(len(todo)))
    real = Counter((draw.number, batch.acting) for batch in todo for draw in batch.draws)
    replayed = Counter(
        (draw.number, number) for batch in todo if batch.acting is None for draw in batch.draws for number in (0, 1)
    )
    assert {*real.values(), *replayed.values()} <= {1}
    assert all(replayed[draw.number, n] == 1 for draw in everything for n in (0, 1))
    assert all(real[draw.number, n] == 1 for draw in everything for n in (2, 3))
    for its in (everything[: mix + dead], everything[mix + dead :]):
        confirmed = sum(real[draw.number, n] for draw in its for n in (0, 1))
        assert confirmed == sum(nth < confirm * len(its) for nth in range(len(its)))


def test_of_each_part_there_is_something_early_on() -> None:
    todo = Sweep(1, draws(mix=600, dead=120, staircase=280), graces(), confirm=0.0).batches()
    first = todo[: len(todo) // 3]
    assert {draw.part for batch in first for draw in batch.draws} == set(PARTS)


def test_the_same_sweep_is_divided_in_the_same_way() -> None:
    sweep = Sweep(5, draws(mix=100, dead=50, staircase=50), graces(), confirm=0.1)
    assert sweep.batches() == msgspec.json.decode(msgspec.json.encode(sweep), type=Sweep).batches()


def test_a_sweep_of_more_runs_has_the_whole_batches_of_one_of_fewer() -> None:
    drawn = mix.read()
    less, more = (Sweep(3, draw_all(drawn, 3, runs), (*graces(), *graces("outq"))) for runs in (1010, 1500))
    known = {batch.fingerprint for batch in more.batches()}
    lost = [batch for batch in less.batches() if batch.fingerprint not in known]
    # The last batch that was not full, of live and dead, each recorded once and run with two, and of the confirmed
    # ones.
    assert len(lost) == 7
    assert all(len(batch.draws) < BATCH_SIZE for batch in lost)


def test_somebody_elses_server_is_never_replayed() -> None:
    sweep = Sweep(1, draws(mix=3), graces(None), TargetSpec(server="serve {port}"), "--timeout {grace}", confirm=1.0)
    todo = sweep.batches()
    assert [(batch.acting, batch.replayed) for batch in todo] == [(0, ()), (1, ())]


def test_a_candidate_is_called_by_its_settings() -> None:
    assert Candidate(30.0, 2.0, "bytes-acked").label == "bytes-acked grace 30s poll 2s"
    assert Candidate(7.5, 0.5).label == "grace 7.5s"


def test_a_sweep_is_known_by_all_that_determines_it() -> None:
    one = sweeps.small()
    assert one.fingerprint == sweeps.small().fingerprint
    others = [
        msgspec.structs.replace(one, seed=8),
        msgspec.structs.replace(one, draws=one.draws[1:]),
        msgspec.structs.replace(one, candidates=one.candidates[1:]),
        msgspec.structs.replace(one, confirm=0.5),
    ]
    assert len({other.fingerprint for other in (one, *others)}) == 5
