"""Who carries out the batches of a sweep: the processors of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from halfopen.errors import InputError
from halfopen.grace.dask_executor import Dask
from halfopen.grace.local_executor import Local
from halfopen.grace.model import Batch, Batched

#: How a Dask scheduler is named: ``dask://HOST:PORT``.
DASK = "dask://"
LOCAL = "local"


class Executor(Protocol):
    """Carries out batches, in any order, several at once."""

    def run(self, batches: Iterable[Batch], on_batched: Callable[[Batched], None]) -> None:
        """Do them all; ``on_batched`` is called in the caller's thread with each that is done.

        Raises InputError for what cannot be run as asked, GuestLostError. When it is left, by KeyboardInterrupt or any
        other exception too, nothing runs any more.
        """
        ...


def executor(name: str, at_once: int | None = None) -> Executor:
    """The executor of this name, ``local`` or ``dask://HOST:PORT``; raises InputError for any other.

    ``at_once``: so many batches at a time here; on a cluster its workers decide.
    """
    if name == LOCAL:
        return Local(at_once)
    if not name.startswith(DASK):
        raise InputError(f"--executor {name!r} is none: there are {LOCAL!r} and {DASK + 'HOST:PORT'!r}")
    if at_once is not None:
        raise InputError(f"--jobs {at_once} is for this machine; on a cluster its workers decide, so leave it out")
    return Dask(name.removeprefix(DASK))
