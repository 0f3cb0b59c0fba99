"""The executors of a sweep's batches: the processors of this machine, or a cluster."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from halfopen.errors import InputError
from halfopen.grace.batch import BatchOrder, batched, run_in_process
from halfopen.grace.dask_executor import Dask
from halfopen.grace.sweep import Batch, BatchResult
from halfopen.netns.interrupts import as_completed

#: Prefix of a Dask scheduler's name: ``dask://HOST:PORT``.
DASK = "dask://"
LOCAL = "local"


class SweepExecutor(Protocol):
    """Runs batches in any order, several at once."""

    at_once: int
    """Number of batches in progress at a time, as far as known before the first result."""

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        """Run all batches; call ``on_batched`` in the caller's thread with each result.

        Raises InputError if a batch cannot be run as asked, and GuestLostError. After any exception, KeyboardInterrupt
        too, nothing runs any more.
        """
        ...


class LocalExecutor:
    """Runs as many batches at once as this machine has processors. Each guest keeps to one processor."""

    def __init__(self, at_once: int | None = None) -> None:
        """``at_once`` is the number of concurrent batches. The default is the number of processors available to us."""
        self.at_once = at_once or len(os.sched_getaffinity(0))

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        """Run all batches; see SweepExecutor."""
        over = threading.Event()
        processors: queue.SimpleQueue[int] = queue.SimpleQueue()
        # Concurrent calls of the program must not all begin with the same processor.
        for number in range(os.getpid(), os.getpid() + self.at_once):
            processors.put(number)

        def do(batch: Batch) -> BatchResult:
            processor = processors.get()
            try:
                return batched(run_in_process(BatchOrder(batch, processor), over.is_set))
            finally:
                processors.put(processor)

        pool = concurrent.futures.ThreadPoolExecutor(self.at_once, thread_name_prefix="batch")
        try:
            # An interrupt here finds the first batches already started.
            for future in as_completed([pool.submit(do, batch) for batch in batches]):
                on_batched(future.result())
        except BaseException:
            over.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


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
