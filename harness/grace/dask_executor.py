"""Run batches on a Dask cluster (dask.distributed, an extra). Its workers do what the local executor does here."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from halfopen.errors import InputError
from halfopen.grace.batch import BatchAnswer, BatchOrder, batched, run_in_process
from halfopen.grace.sweep import Batch, BatchResult
from halfopen.netns.lab_errors import GuestLostError

if TYPE_CHECKING:
    from distributed import Client, Future

#: Seconds in which a scheduler must answer.
_ANSWERS_WITHIN = 10.0
#: Seconds for running batches to end after an interrupt.
_PATIENCE = 20.0
_STEP = 0.1
#: Status of a client that is connected to its scheduler.
_CONNECTED = "running"
#: Status of a future whose batch raised an error, and the reason of one that was cancelled with its scheduler.
_FAILED = "error"
_SCHEDULER_LOST = "scheduler-connection-lost"


def run_batch(order: bytes, until: str) -> bytes:
    """On a worker, run a batch in a process of its own; order and result are JSON.

    ``until`` is the name of the event (distributed.Event) that ends it.
    """
    from distributed import Event  # noqa: PLC0415 (an extra)

    answer = run_in_process(msgspec.json.decode(order, type=BatchOrder), Event(until).is_set)
    return msgspec.json.encode(answer)


class Dask:
    """The workers of a cluster."""

    def __init__(self, address: str) -> None:
        """``address`` is the scheduler's, HOST:PORT. Raises InputError if the extra is not installed."""
        try:
            import distributed  # noqa: F401, PLC0415 (an extra)
        except ImportError:
            raise InputError(
                "--executor dask:// needs dask.distributed; install it with: pip install 'halfopen[dask]'"
            ) from None
        self._address = address
        self.at_once = 1

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        """Run all batches; see halfopen.grace.executor.SweepExecutor."""
        from distributed import Event, as_completed  # noqa: PLC0415 (an extra)

        with self._connect() as client:
            over = Event(f"halfopen-{uuid.uuid4().hex}", client=client)
            futures: list[Future[Any]] = []
            try:
                futures += client.map(
                    run_batch,
                    # Batches that run at the same time have consecutive numbers, and so get different processors.
                    [msgspec.json.encode(BatchOrder(batch, batch.number)) for batch in batches],
                    until=over.name,
                    # Dask must run the batch again even if an earlier sweep had the same one.
                    pure=False,
                )
                for future in as_completed(futures, loop=client.loop):
                    on_batched(batched(_answer(future)))
                    future.release()
            except BaseException:
                # If the scheduler is gone, the workers end by themselves, and their batches with them.
                with contextlib.suppress(OSError):
                    if client.status == _CONNECTED:
                        over.set()
                        _await_end(client, futures)
                raise

    def _connect(self) -> Client:
        from distributed import Client  # noqa: PLC0415 (an extra)

        # Dask prints a traceback for a lost connection. We report it in one line.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            client = Client(f"tcp://{self._address}", timeout=_ANSWERS_WITHIN, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {self._address}: {error}") from None
        workers = client.scheduler_info()["workers"]
        self.at_once = max(1, sum(worker["nthreads"] for worker in workers.values()))
        if not workers:
            client.close()
            raise InputError(
                f"the Dask scheduler at {self._address} has no workers; start some with: "
                f"dask worker {self._address} --nthreads 1"
            )
        return client


def _answer(future: Future[Any]) -> BatchAnswer:
    """Return a worker's result for a batch; raises GuestLostError, InputError."""
    from distributed import KilledWorker  # noqa: PLC0415 (an extra)

    try:
        return msgspec.json.decode(future.result(), type=BatchAnswer)
    except KilledWorker as error:
        raise GuestLostError(f"a batch was given up, since each worker that was given it ended: {error}") from None
    except (concurrent.futures.CancelledError, OSError) as error:
        # A cancelled future has a one-word reason, beside a paragraph of advice (FutureCancelledError). If an answer
        # was ready, the error names the socket to fetch it from: the client does not know yet that all are lost.
        why = getattr(error, "reason", error if future.status == _FAILED else _SCHEDULER_LOST)
        raise GuestLostError(f"the Dask cluster was lost: {why}") from None
    except (ModuleNotFoundError, RuntimeError) as error:
        # A scheduler that cannot read what it passes on complains about another environment; the cause is chained
        # below.
        for who, why in (("worker", error), ("scheduler", error.__cause__)):
            if isinstance(why, ModuleNotFoundError):
                raise InputError(
                    f"the Dask {who} lacks {why.name!r}: install the same halfopen there as here, with what it needs"
                ) from None
        raise


def _await_end(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Cancel batches that have not begun, and wait for the others."""
    running = {key for keys in client.processing().values() for key in keys}
    client.cancel([future for future in futures if future.key not in running])
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and any(not f.done() for f in futures if f.key in running):
        time.sleep(_STEP)
    client.cancel(list(futures))
