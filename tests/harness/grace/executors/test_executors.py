from __future__ import annotations

import sys

import pytest

from harness.errors import InputError
from harness.grace.executors import executor
from harness.grace.executors.local import Local


def test_this_machine_is_one() -> None:
    assert isinstance(executor("local"), Local)


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
