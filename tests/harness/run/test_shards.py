"""Runs divided over guests and machines: all of them, each once, the same each time, and no share empty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.errors import InputError
from halfopen.run import hindrances, request
from halfopen.run.request import RunRequest
from halfopen.run.shards import Shard, spread
from halfopen.scenario.target_spec import TargetSpec

LENGTHS = st.lists(st.floats(0.1, 1000), min_size=1, max_size=40)


def test_every_run_is_in_one_share_and_the_longest_are_apart() -> None:
    assert spread([1, 100, 100, 1], 2) == [[0, 1], [2, 3]]
    assert spread([100, 50, 50, 1], 2) == [[0, 3], [1, 2]]


def test_there_are_no_more_shares_than_runs() -> None:
    assert spread([1, 1], 8) == [[0], [1]]
    assert spread([1, 2, 3], 1) == [[0, 1, 2]]


@given(LENGTHS, st.integers(1, 40))
def test_the_shards_are_the_whole_and_none_is_empty(lengths: list[float], count: int) -> None:
    count = min(count, len(lengths))
    shares = [Shard(index, count).of(lengths) for index in range(1, count + 1)]
    assert sorted(number for share in shares for number in share) == list(range(len(lengths)))
    assert all(shares)


@given(LENGTHS, st.integers(1, 8))
def test_no_shard_has_more_to_do_than_another_by_more_than_one_run(lengths: list[float], count: int) -> None:
    loads = [sum(lengths[n] for n in share) for share in spread(lengths, count)]
    assert max(loads) - min(loads) <= max(lengths) + 1e-6


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0"])
def test_a_shard_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"--shard '{text}': there is no shard {text[0]} of {text[2]}"):
        Shard.parse(text)


@pytest.mark.parametrize(
    "text", ["a", "", "1", "1/", "/2", "-1/2", "1/2/3", "1 / 2", "1.0/2", "\u0661/\u0662", "1/9999999"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not of the form I/N"):
        Shard.parse(text)


def test_more_shards_than_runs_are_refused_in_every_one() -> None:
    for index in (1, 4):
        with pytest.raises(InputError, match=f"--shard {index}/4: there (is|are) only .* for 4 shards"):
            Shard(index, 4).of([1.0, 2.0, 3.0])


def labels(shard: Shard | None, repeat: int = 1, server: str | None = None) -> list[str]:
    names, target = ["dead", "alive", "pod_5090"], TargetSpec(server=server)
    call = RunRequest(seed=1, grace=30, poll=2, names=names, target=target, shard=shard, repeat=repeat)
    return [f"{job.repeat} {job.label}" for job in request.jobs(call)]


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("server", [None, "serve {host} {port}"])
def test_the_shards_of_a_call_are_the_call_and_its_runs_are_called_the_same(repeat: int, server: str | None) -> None:
    parts = [labels(Shard(index, 3), repeat, server) for index in (1, 2, 3)]
    assert sorted(label for part in parts for label in part) == sorted(labels(None, repeat, server))


def test_what_a_machine_lacks_does_not_change_what_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = [labels(Shard(index, 3)) for index in (1, 2, 3)]
    monkeypatch.setattr(hindrances, "find_program", lambda _: None)
    without = [labels(Shard(index, 3)) for index in (1, 2, 3)]
    assert [[label for label in part if "edge" not in label] for part in with_it] == without
