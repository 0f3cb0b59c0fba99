"""Run batches on this machine, as many at once as it has processors. Each guest keeps to one processor."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import threading
from collections.abc import Callable, Iterable

from halfopen.grace.batch import BatchOrder, batched, run_in_process
from halfopen.grace.trials import Batch, BatchResult
from halfopen.netns.interrupts import as_completed


class LocalExecutor:
    """The processors of this machine."""

    def __init__(self, at_once: int | None = None) -> None:
        """``at_once`` is the number of concurrent batches. The default is the number of processors available to us."""
        self._at_once = at_once or len(os.sched_getaffinity(0))

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        """Run all batches; see :class:`halfopen.grace.executor.SweepExecutor`."""
        over = threading.Event()
        processors: queue.SimpleQueue[int] = queue.SimpleQueue()
        # Concurrent calls of the program must not all begin with the same processor.
        for number in range(os.getpid(), os.getpid() + self._at_once):
            processors.put(number)

        def do(batch: Batch) -> BatchResult:
            processor = processors.get()
            try:
                return batched(run_in_process(BatchOrder(batch, processor), over.is_set))
            finally:
                processors.put(processor)

        pool = concurrent.futures.ThreadPoolExecutor(self._at_once, thread_name_prefix="batch")
        try:
            # An interrupt here finds the first batches already started.
            for future in as_completed([pool.submit(do, batch) for batch in batches]):
                on_batched(future.result())
        except BaseException:
            over.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
