"""Batches on a Dask cluster (dask.distributed, an extra): what this machine does with them its workers do."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from halfopen.errors import InputError
from halfopen.grace import batch_process
from halfopen.grace.batch import Answer, Order
from halfopen.grace.model import Batch, Batched
from halfopen.netns.errors import GuestLostError

if TYPE_CHECKING:
    from distributed import Client, Future

#: Seconds in which a scheduler answers.
_ANSWERS_WITHIN = 10.0
#: Seconds that batches under way have to end after an interrupt.
_PATIENCE = 20.0
_STEP = 0.1
#: What a client calls itself while its scheduler is there.
_CONNECTED = "running"
#: What a future is whose batch raised something itself, and what one says that was cancelled with its scheduler.
_FAILED = "error"
_SCHEDULER_LOST = "scheduler-connection-lost"


def run_batch(order: bytes, until: str) -> bytes:
    """On a worker: have a batch done in a process of its own and give what is said of it, both as JSON.

    ``until`` is the name of the event (distributed.Event) upon which it ends.
    """
    from distributed import Event  # noqa: PLC0415 (an extra)

    answer = batch_process.run(msgspec.json.decode(order, type=Order), Event(until).is_set)
    return msgspec.json.encode(answer)


class Dask:
    """The workers of a cluster, wherever they are."""

    def __init__(self, address: str) -> None:
        """``address``: the scheduler's, HOST:PORT. Raises InputError where the extra is not installed."""
        try:
            import distributed  # noqa: F401, PLC0415 (an extra)
        except ImportError:
            raise InputError(
                "--executor dask:// needs dask.distributed; install it with: pip install 'halfopen[dask]'"
            ) from None
        self._address = address

    def run(self, batches: Iterable[Batch], on_batched: Callable[[Batched], None]) -> None:
        """Do them all; see :class:`halfopen.grace.executor.Executor`."""
        from distributed import as_completed  # noqa: PLC0415 (an extra)

        with self._connected() as client, _told_to_end(client) as (name, under_way):
            futures = client.map(
                run_batch,
                # What is done at the same time has numbers that follow one another, and so other processors.
                [msgspec.json.encode(Order(batch, batch.number)) for batch in batches],
                until=name,
                # The same batch of an earlier sweep is done again.
                pure=False,
            )
            under_way.extend(futures)
            for future in as_completed(futures, loop=client.loop):
                on_batched(batch_process.batched(_answer(future)))
                future.release()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        from distributed import Client  # noqa: PLC0415 (an extra)

        # Of a connection that is lost it prints a traceback; what there is to say of it is said in a line.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            client = Client(f"tcp://{self._address}", timeout=_ANSWERS_WITHIN, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {self._address}: {error}") from None
        with client:
            if not client.scheduler_info()["workers"]:
                raise InputError(
                    f"the Dask scheduler at {self._address} has no workers; start some with: "
                    f"dask worker {self._address} --nthreads 1"
                )
            yield client


def _answer(future: Future[Any]) -> Answer:
    """What a worker says of a batch; raises GuestLostError, InputError."""
    from distributed import KilledWorker  # noqa: PLC0415 (an extra)

    try:
        return msgspec.json.decode(future.result(), type=Answer)
    except KilledWorker as error:
        raise GuestLostError(f"a batch was given up, since each worker that was given it ended: {error}") from None
    except (concurrent.futures.CancelledError, OSError) as error:
        # A future that was cancelled says why in a word, beside a paragraph of advice (FutureCancelledError). One whose
        # answer was there to be fetched says which socket it was to come by, before the client knows that all are lost.
        why = getattr(error, "reason", error if future.status == _FAILED else _SCHEDULER_LOST)
        raise GuestLostError(f"the Dask cluster was lost: {why}") from None
    except (ModuleNotFoundError, RuntimeError) as error:
        # A scheduler that cannot read what it is to hand on says so of another environment, and why below that.
        for who, why in (("worker", error), ("scheduler", error.__cause__)):
            if isinstance(why, ModuleNotFoundError):
                raise InputError(
                    f"the Dask {who} lacks {why.name!r}: install the same halfopen there as here, with what it needs"
                ) from None
        raise


@contextlib.contextmanager
def _told_to_end(client: Client) -> Iterator[tuple[str, list[Future[Any]]]]:
    """The name of an event, and the futures of what ends with it; when the context is left none is under way."""
    from distributed import Event  # noqa: PLC0415 (an extra)

    name = f"halfopen-{uuid.uuid4().hex}"
    over = Event(name, client=client)
    futures: list[Future[Any]] = []
    try:
        yield name, futures
    except BaseException:
        # Of a scheduler that is gone the workers go by themselves, and what they run with them.
        with contextlib.suppress(OSError):
            if client.status == _CONNECTED:
                over.set()
                _await_end(client, futures)
        raise


def _await_end(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Take back what has not begun, and wait for what has."""
    under_way = {key for keys in client.processing().values() for key in keys}
    client.cancel([future for future in futures if future.key not in under_way])
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and any(not f.done() for f in futures if f.key in under_way):
        time.sleep(_STEP)
    client.cancel(list(futures))
