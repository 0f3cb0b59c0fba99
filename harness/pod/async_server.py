"""The pod's twin on ``websockets.asyncio``: the same protocol, stream and seats, with tasks in place of threads.

No thread can be stuck with a lock here. In its place, the runner waits in ``send()`` until the transport's buffer is
below its limit, and so does the library's keepalive before its timeout begins. A client that reads nothing is kept in
both cases (docs/websockets.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import math
import ssl
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.version import version as websockets_version

from halfopen.liveness.death import discard_when_closed
from halfopen.pod.detectors._seam import Detector
from halfopen.pod.log import log
from halfopen.pod.server import NO_SEAT, NO_SEAT_REASON, HttpPod, client_id, wants_to_preempt
from halfopen.pod.sessions import GIVE_WAY_WITHIN, LEAVE_WITHIN, Seats, StreamedSession, why
from halfopen.pod.stream import Stream


class AsyncPodSession(StreamedSession):
    """A session with two tasks: a runner that sends, a reader that receives acknowledgements."""

    def __init__(
        self, session_id: str, client_id: str, connection: ServerConnection, stream: Stream, limit: float
    ) -> None:
        """``limit``: seconds after which the server closes it."""
        super().__init__(session_id, client_id, connection, stream, limit)
        self.sock = connection.transport.get_extra_info("socket")
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()

    def ask(self) -> bool:
        """Return False: the library's ``ping()`` is a coroutine here, which ``AsyncWatcher`` calls itself."""
        return False

    def wake(self) -> None:
        """Make the runner leave; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    def discard(self) -> None:
        """End the transport, which wakes tasks that wait to send or to receive."""
        with contextlib.suppress(OSError):
            discard_when_closed(self.sock)
        self.connection.transport.abort()

    async def run(self) -> None:
        """Stream until the client or a detector ends it."""
        reader = asyncio.create_task(self._read(), name=f"reader-{self.id}")
        try:
            await self._send_slices()
            if self.farewell is not None:
                await self.connection.close(*self.farewell)
        except ConnectionClosed as closed:
            self.stop(why(closed))
        finally:
            reader.cancel()
            self.log_end()

    async def _send_slices(self) -> None:
        for due, payload in self.stream.slices(time.monotonic()):
            if not await self._wait_until(due):
                return
            if self.admits(due):
                await self.connection.send(payload)
                self.flow.sent += len(payload)
        # Nothing more is sent, and the session goes on.
        await self._wait_until(math.inf)

    async def _wait_until(self, due: float) -> bool:
        """Wait until a slice is due; False if the session ends before."""
        moment = min(due, self.ends_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(moment) else max(0.0, moment - time.monotonic())):
                await self._stopped.wait()
        if self._stopped.is_set():
            return False
        if due < self.ends_at:
            return True
        self.stop_at_limit()
        return False

    async def _read(self) -> None:
        try:
            async for message in self.connection:
                self.receive(message)
        except ConnectionClosed as closed:
            self.stop(why(closed))
        else:  # iteration ends without an error after a closing handshake
            self.stop("client_closed")


class AsyncRegistry(Seats):
    """Seats for sessions with tasks."""

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def seat(self, session: AsyncPodSession, *, preempt: bool = False) -> AsyncIterator[bool]:
        """List the session and hold a seat for it; yields False, and lists nothing, if none is free.

        With ``preempt`` another session must give way (``preempt_for``), and this waits for it.
        """
        async with self._freed:
            if preempt and (ousted := self.preempt_for(session)) is not None:
                await self._wait_for(ousted)
            seated = self.take(session)
        try:
            yield seated
        finally:
            if seated:
                self.leave(session)
                async with self._freed:
                    self._freed.notify_all()

    async def _wait_for(self, ousted: StreamedSession) -> None:
        """Wait until a session has left. The condition is held, but not while this waits."""
        if not await self._leaves(ousted, GIVE_WAY_WITHIN):
            ousted.discard()
            await self._leaves(ousted, LEAVE_WITHIN)

    async def _leaves(self, ousted: StreamedSession, within: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await self._freed.wait_for(lambda: self.has_left(ousted))
        return False


class AsyncPod(HttpPod):
    """The same server, with tasks for each connection."""

    def __init__(
        self, detector: Detector, stream: Stream, seats: int, session_limit: float, ping_interval: float | None
    ) -> None:
        """``session_limit``: seconds after which the pod closes a session; ``ping_interval``: of its keepalive."""
        self._registry = AsyncRegistry(seats)
        super().__init__(detector, stream, self._registry, session_limit, ping_interval)

    def stacks(self) -> dict[str, list[str]]:
        """Return the stack of every task by its name."""
        return {task.get_name(): _stack(task.get_coro()) for task in asyncio.all_tasks()}

    def run(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve until interrupted; raises OSError if the port is taken."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(host, port, tls))

    async def _serve(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        async with serve(self._handle, host, port, **self.options(tls)) as server:
            listening = next(iter(server.sockets)).getsockname()[1]
            log("listening", host=host, port=listening, websockets=websockets_version)
            await server.serve_forever()

    async def _handle(self, connection: ServerConnection) -> None:
        session = AsyncPodSession(
            self._registry.next_id(), client_id(connection), connection, self.stream, self.session_limit
        )
        task = asyncio.current_task()
        assert task is not None
        task.set_name(f"runner-{session.id}")
        async with self._registry.seat(session, preempt=wants_to_preempt(connection)) as seated:
            if not seated:
                log("session_refused", client=session.client_id, reason="no_seat")
                await connection.close(NO_SEAT, NO_SEAT_REASON)
                return
            log("session_opened", session=session.id, client=session.client_id)
            with self.detector.guard(session):
                await session.run()


def _stack(awaited: Any) -> list[str]:
    """Return the functions that a task waits in, innermost first, with file and line.

    Task.get_stack() returns the outermost only. Each coroutine names the one that it awaits (cr_await). The step of an
    asynchronous generator does not name its generator, but refers to it.
    """
    frames: list[str] = []
    while awaited is not None:
        if (frame := _first(awaited, "cr_frame", "gi_frame", "ag_frame")) is not None:
            (call,) = traceback.extract_stack(frame, limit=1)
            frames.append(f"{call.name} ({call.filename}:{call.lineno})")
        if type(awaited).__name__.startswith("async_generator_"):
            awaited = next(filter(inspect.isasyncgen, gc.get_referents(awaited)), None)
        else:
            awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return frames[::-1]


def _first(awaited: object, *names: str) -> Any:
    return next((value for name in names if (value := getattr(awaited, name, None)) is not None), None)
