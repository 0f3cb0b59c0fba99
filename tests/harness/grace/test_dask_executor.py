"""Sweeps on a cluster of several worker processes on this machine. They need a guest kernel (make kernel)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.grace import store
from halfopen.grace.executor import LocalExecutor, SweepExecutor, executor
from halfopen.grace.sweep import BatchResult, Draw
from halfopen.netns.lab_errors import GuestLostError
from tests import leftovers
from tests.harness.grace import clusters, sweeps
from tests.harness.grace.sweeping_process import many, resumed, told
from tests.machine import needs_cluster, needs_guest

#: The client's threads outlive it.
pytestmark = pytest.mark.apart


@contextlib.contextmanager
def cluster(folder: Path, workers: int, **environment: str) -> Iterator[tuple[SweepExecutor, subprocess.Popen[str]]]:
    """Start a cluster. Yield the executor that uses it, and the process."""
    with clusters.cluster(folder, workers, **environment) as (address, running):
        yield executor(address), running


@needs_guest
def test_left_and_gone_on_with_the_same_comes_of_it_though_a_worker_is_lost(tmp_path: Path) -> None:
    """Nothing stays on the workers, another takes over a lost one's batches, and the results match a local sweep."""
    (tmp_path / "here").mkdir()
    expected = told(resumed(tmp_path / "here", LocalExecutor(2), many()))
    killed: list[int] = []

    def enough(_: BatchResult) -> None:
        raise KeyboardInterrupt

    with cluster(tmp_path, 2) as (dask, running):
        # Once beforehand, so that processes started by the first use are not counted as new.
        with pytest.raises(InputError):
            resumed(tmp_path / "broken", dask, sweeps.sweep([_broken()]))
        before = leftovers.take_stock()
        with pytest.raises(KeyboardInterrupt):
            resumed(tmp_path / "out", dask, many(), enough)
        assert leftovers.since(before) == {}

        def kill_one(batched: BatchResult) -> None:
            if not killed:
                assert running.stdin is not None
                killed.append(batched.number)
                running.stdin.write("kill a worker\n")
                running.stdin.flush()

        done = resumed(tmp_path / "out", dask, many(), kill_one)
    assert killed
    assert told(done) == expected


@needs_guest
def test_a_scheduler_that_ends_is_said_to_be_lost_and_what_was_done_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with cluster(tmp_path, 2) as (dask, running):

        def end(_: BatchResult) -> None:
            running.kill()

        with pytest.raises(GuestLostError, match=r"^the Dask cluster was lost: scheduler-connection-lost$"):
            resumed(tmp_path / "out", dask, many(), end)
    with store.opened(tmp_path / "out", many(), resume=True) as kept:
        assert kept.done
    assert capfd.readouterr().err == ""


@needs_cluster
def test_where_nobody_listens_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halfopen.grace.dask_executor._ANSWERS_WITHIN", 1.0)
    with pytest.raises(InputError, match="no Dask scheduler answers at 127"):
        resumed(tmp_path, executor("dask://127.0.0.1:9"), sweeps.small())


@needs_cluster
def test_a_cluster_without_workers_is_said_to_have_none(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, 0) as (dask, _),
        pytest.raises(InputError, match="has no workers; start some with: dask worker"),
    ):
        resumed(tmp_path / "out", dask, sweeps.small())


@needs_cluster
def test_a_cluster_without_halfopen_is_told_to_have_it(tmp_path: Path) -> None:
    (tmp_path / "halfopen.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'halfopen'\", name='halfopen')\n"
    )
    with (
        cluster(tmp_path, 1, PYTHONPATH=str(tmp_path)) as (dask, _),
        pytest.raises(InputError, match="lacks 'halfopen': install the same halfopen there"),
    ):
        resumed(tmp_path / "out", dask, sweeps.small())


def _broken() -> Draw:
    return msgspec.structs.replace(sweeps.outage(0, 1.0), scenario="nonsense")
