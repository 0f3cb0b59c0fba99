"""The executors of a sweep's batches: the processors of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from halfopen.errors import InputError
from halfopen.grace.dask_executor import Dask
from halfopen.grace.local_executor import LocalExecutor
from halfopen.grace.trials import Batch, BatchResult

#: Prefix of a Dask scheduler's name: ``dask://HOST:PORT``.
DASK = "dask://"
LOCAL = "local"


class SweepExecutor(Protocol):
    """Runs batches in any order, several at once."""

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        """Run all batches; call ``on_batched`` in the caller's thread with each result.

        Raises InputError if a batch cannot be run as asked, and GuestLostError. After any exception, KeyboardInterrupt
        too, nothing runs any more.
        """
        ...


def executor(name: str, at_once: int | None = None) -> SweepExecutor:
    """Return the executor named ``local`` or ``dask://HOST:PORT``; raises InputError for any other name.

    ``at_once`` is the number of concurrent batches on this machine. On a cluster its workers decide.
    """
    if name == LOCAL:
        return LocalExecutor(at_once)
    if not name.startswith(DASK):
        raise InputError(f"--executor {name!r} is none: there are {LOCAL!r} and {DASK + 'HOST:PORT'!r}")
    if at_once is not None:
        raise InputError(f"--jobs {at_once} is for this machine; on a cluster its workers decide, so leave it out")
    return Dask(name.removeprefix(DASK))
