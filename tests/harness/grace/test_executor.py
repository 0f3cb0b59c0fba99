from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from halfopen.errors import InputError
from halfopen.grace.batch import BatchAnswer, BatchOrder, Interrupted
from halfopen.grace.executor import LocalExecutor, executor
from halfopen.grace.sweep import Batch
from tests.harness.grace import sweeps


def test_this_machine_is_one() -> None:
    assert isinstance(executor("local"), LocalExecutor)


@pytest.mark.parametrize("name", ["slurm", "", "dask:host"])
def test_what_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="there are 'local' and 'dask://HOST:PORT'"):
        executor(name)


def test_how_many_run_at_once_on_a_cluster_is_its_own_business() -> None:
    with pytest.raises(InputError, match="--jobs 4 is for this machine"):
        executor("dask://127.0.0.1:1", 4)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'halfopen\[dask\]'"):
        executor("dask://127.0.0.1:1")


def test_what_is_left_while_batches_are_still_handed_out_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def run(_: BatchOrder, is_over: Callable[[], bool]) -> BatchAnswer:
        begun.set()
        while not is_over():
            time.sleep(0.01)
        ended.set()
        raise Interrupted

    def batches() -> Iterator[Batch]:
        yield sweeps.small().batches()[0]
        begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr("halfopen.grace.executor.run_in_process", run)
    with pytest.raises(KeyboardInterrupt):
        LocalExecutor(2).run(batches(), lambda _: None)
    assert ended.is_set()
