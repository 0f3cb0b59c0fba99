"""Poll every connection of an event loop from that loop, and abort those whose client is dead."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import select
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from halfopen.liveness.common_outage import CommonOutage
from halfopen.liveness.death import Death, Reap, discard_when_closed, report
from halfopen.liveness.descriptor import BorrowedSocket
from halfopen.liveness.reading import Fields, Reading, read
from halfopen.liveness.retransmissions import bound_rto, bounded_rto
from halfopen.liveness.rule import DEFAULT_MIN_RATE, Darkness, Rule, Terms
from halfopen.liveness.schedule import TURNS, Polled, PollSchedule
from halfopen.liveness.sockets_of_process import AcceptedSockets
from halfopen.liveness.watcher import judge

_LOG = logging.getLogger("halfopen.liveness")


class HasTransport(Protocol):
    """A connection with its transport: of websockets.asyncio, an aiohttp or Sanic request, a StreamWriter."""

    @property
    def transport(self) -> Any:
        """An asyncio transport; None once the connection is closed."""
        ...


class HasExtraInfo(Protocol):
    """A transport of asyncio or uvloop, with or without TLS, or an aiohttp WebSocketResponse."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information on the connection, such as its "socket"."""
        ...


class HasFileno(Protocol):
    """A socket, or a stream of Tornado."""

    def fileno(self) -> Any:
        """Return the descriptor, -1 once it is closed, or the socket that has it."""
        ...


Watchable = HasTransport | HasExtraInfo | HasFileno


class AsyncWatch(Polled):
    """One watched connection; a context manager around its session."""

    __slots__ = (
        "_asking",
        "_before",
        "_has_warned",
        "_watcher",
        "ask",
        "is_found",
        "on_dead",
        "over",
        "rule",
        "sock",
        "transport",
    )

    def __init__(
        self,
        watcher: AsyncWatcher,
        sock: BorrowedSocket | None,
        transport: Any,
        on_dead: Callable[[Death], object],
        ask: Callable[[], object] | None,
    ) -> None:
        super().__init__()
        self._watcher, self.sock, self.transport = watcher, sock, transport
        self.on_dead, self.ask = on_dead, ask
        self.is_found = False
        """True if it was found by a :class:`ListenerWatch`."""
        self.over = sock is None
        self.rule = Rule(watcher.terms, time.monotonic())
        self._asking: asyncio.Future[object] | asyncio.Handle | None = None
        self._before: Reading | None = None
        """The reading before the pending ping."""
        self._has_warned = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start watching, where the session is no block of code; raises ValueError if it is watched already."""
        self._watcher.add(self)

    def stop(self) -> None:
        """Stop watching; may be called again."""
        self._watcher.remove(self)
        self.over = True
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self.sock is not None:
            self.sock.detach()

    def look(self) -> None:
        """Poll once: ping the client if needed, and abort the connection if the client is dead."""
        if self.over or (fields := self._read()) is None:
            return
        assert self.sock is not None
        death = judge(self.rule, self.sock, fields, self._watcher.common_outage)
        if death is not None:
            self._end(death)
        elif self.rule.wants_answer:
            self._ask(fields)

    def _read(self) -> Fields | None:
        """Return the kernel's data, or None, and stop watching, once the server has closed the connection."""
        assert self.sock is not None
        if self.sock.is_same():
            with contextlib.suppress(OSError):
                return read(self.sock)
        self.stop()
        return None

    def _end(self, death: Death) -> None:
        assert self.sock is not None
        self.over = True
        reap = self._watcher.reap
        _LOG.info(
            "ended the connection of %s: %s for %.1f s, %d bytes queued, %s",
            _peer(self.sock),
            death.reason,
            death.stall_s,
            death.backlog_bytes,
            death.tcp_state,
        )
        if self.transport is not None and reap == "reset":
            # Before the report, which may close the descriptor.
            with contextlib.suppress(OSError):
                discard_when_closed(self.sock)
        report(self.on_dead, death)
        if self.transport is None:
            self.sock.end(reap)
        else:
            self.transport.abort()
        self.stop()

    def _ask(self, fields: Fields) -> None:
        if self.ask is None or self._asking is not None or not self._can_send():
            return
        self._before = Reading._make(fields)
        try:
            result = self.ask()
        except Exception as error:  # noqa: BLE001 (whatever the library raises for a connection that is closing)
            self._report_no_ping(error)
            return
        if inspect.isawaitable(result):
            self._asking = asyncio.ensure_future(result)
            self._asking.add_done_callback(self._asked)
        elif result is not False:
            # uvloop sends at the end of this iteration of the loop.
            self._asking = asyncio.get_running_loop().call_soon(self._confirm)

    def _can_send(self) -> bool:
        """True if a ping would be sent at once: it must not wait behind queued data."""
        assert self.sock is not None
        if self.transport is not None and (self.transport.is_closing() or self.transport.get_write_buffer_size()):
            return False
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT)
        return bool(poller.poll(0))

    def _asked(self, asking: asyncio.Future[object]) -> None:
        if asking.cancelled():
            return
        if error := asking.exception():
            self._asking = None
            self._report_no_ping(error)
        else:
            self._confirm()

    def _report_no_ping(self, error: BaseException) -> None:
        """Log once for each connection: it is watched on, but its silence proves nothing."""
        if not self._has_warned and self.sock is not None:
            self._has_warned = True
            _LOG.warning("no ping for %s: %r", _peer(self.sock), error)

    def _confirm(self) -> None:
        """Have the rule wait for an answer, if the kernel has the ping and no answer came yet."""
        self._asking = None
        if self.over or (fields := self._read()) is None:
            return
        before, seen = self._before, Reading._make(fields)
        assert before is not None
        has_ping = seen.bytes_acked + seen.backlog > before.bytes_acked + before.backlog
        if self.transport is not None and self.transport.get_write_buffer_size():
            has_ping = False
        if has_ping and seen.bytes_received == before.bytes_received:
            self.rule.asked(fields)


class AsyncWatcher:
    """Watches any number of connections of one event loop, from a timer of that loop.

    ``grace``, ``poll``, ``outage`` and ``common_outage`` are in seconds, ``min_rate`` in bytes per second (see
    :class:`Terms`). ``reap`` says if a dead client's connection is reset, or shut down so that the kernel keeps trying
    to deliver queued bytes. With ``bound_rto`` connections retransmit at least four times in an outage, if the kernel
    supports that (TCP_RTO_MAX_MS, Linux 6.15). ``common_outage.on_change`` is called when most sessions have gone dark
    at once. It may be created anywhere, also before there is a loop. Raises ValueError.
    """

    def __init__(
        self,
        grace: float = 30.0,
        poll: float = 2.0,
        *,
        min_rate: float = DEFAULT_MIN_RATE,
        outage: float | None = None,
        common_outage: float | None = None,
        reap: Reap = "reset",
        bound_rto: bool = True,
    ) -> None:
        self.terms = Terms(grace, poll, min_rate, outage, half_closed=grace, common_outage=common_outage)
        self.common_outage = CommonOutage(self.terms, self._darkness)
        self.reap: Reap = reap
        self._rto = bounded_rto(self.terms.longest_outage, self.terms.longest_common_outage) if bound_rto else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._schedule: PollSchedule[AsyncWatch] = PollSchedule(poll)
        self._by_cookie: dict[bytes, AsyncWatch] = {}
        self._has_warned = False

    def watch(
        self,
        connection: Watchable,
        *,
        on_dead: Callable[[Death], object] | None = None,
        ask: Callable[[], object] | None = None,
    ) -> AsyncWatch:
        """Return a context manager for the session of a connection.

        Call it in the loop's thread. ``ask`` sends the client a message that it must answer. It may be a function, or
        a coroutine function such as a connection's ``ping``, which is used if the connection has one. ``on_dead`` is
        called once, before the connection is aborted. A connection that is already closed is accepted, and nothing
        happens. Raises TypeError or ValueError for anything that cannot be watched.
        """
        if inspect.iscoroutinefunction(on_dead):
            raise TypeError("on_dead: a coroutine function is never awaited; pass a plain function")
        sock, transport = _resolve(connection) if self._is_possible() else (None, None)
        if ask is None:
            ping = getattr(connection, "ping", None)
            ask = ping if callable(ping) else None
        return AsyncWatch(self, sock, transport, on_dead or _ignore, ask)

    def watch_listener(
        self, port: int | None = None, *, on_dead: Callable[[Death], object] | None = None
    ) -> ListenerWatch:
        """Return a context manager that watches all connections that this process accepts.

        It is for servers that do not show their connections, as any ASGI server. ``port`` limits it to one port.
        Connections are found in /proc/self/fd, within two polls. They get no pings. Raises ValueError if there is no
        /proc.
        """
        sockets = AcceptedSockets(port) if self._is_possible() else None
        return ListenerWatch(self, sockets, on_dead or _ignore)

    def _is_possible(self) -> bool:
        """True on Linux. Elsewhere log once that dead clients stay: a server must also run on a developer's machine."""
        if sys.platform != "linux":
            if not self._has_warned:
                self._has_warned = True
                _LOG.warning("no watcher on %s: TCP_INFO is Linux's; dead clients stay", sys.platform)
            return False
        return True

    def add(self, watch: AsyncWatch) -> None:
        """Start watching, unless there is nothing to watch."""
        if watch.over or watch.sock is None:
            return
        self.bind()
        cookie = watch.sock.cookie
        if (other := self._by_cookie.get(cookie)) is not None:
            if watch.is_found:
                watch.stop()
                return
            if not other.is_found:
                raise ValueError("connection: it is already watched; leave the first watch, or drop this one")
            other.stop()
        if self._rto is not None:
            bound_rto(watch.sock, self._rto)
        self._by_cookie[cookie] = watch
        self._schedule.add(watch)
        self._arm()

    def remove(self, watch: AsyncWatch) -> None:
        """Stop watching; may be called again."""
        if watch.sock is not None and self._by_cookie.get(watch.sock.cookie) is watch:
            del self._by_cookie[watch.sock.cookie]
            self._schedule.remove(watch)
            if not self._schedule:
                self.common_outage.close(time.monotonic())
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def bind(self) -> asyncio.AbstractEventLoop:
        """Return the running loop; raises RuntimeError if there is none, or if connections of another are watched."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "AsyncWatcher: no event loop runs here; enter the watch in a coroutine, or use Watcher in threads"
            ) from None
        if self._loop is not loop:
            if self._schedule and self._loop is not None and not self._loop.is_closed():
                raise RuntimeError("AsyncWatcher: it watches connections of another loop; create one for each loop")
            for watch in list(self._by_cookie.values()):
                watch.stop()
            self._loop, self._timer = loop, None
        return loop

    def _arm(self) -> None:
        assert self._loop is not None
        now = time.monotonic()
        at = self._schedule.next_at(now)
        when = self._loop.time() + max(0.0, at - now)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._run) if self._schedule else None

    def _run(self) -> None:
        self._timer = None
        now = time.monotonic()
        try:
            if self._schedule.next_at(now) <= now:
                for watch in self._schedule.due(now):
                    self._look(watch)
                if self.common_outage.in_progress:
                    self.common_outage.review(time.monotonic())
        finally:
            self._arm()

    def _darkness(self) -> list[Darkness | None]:
        return [watch.rule.darkness for watch in self._schedule]

    def _look(self, watch: AsyncWatch) -> None:
        try:
            watch.look()
        except Exception:  # noqa: BLE001 (a connection's error must not abandon the others)
            _LOG.exception("polling a connection failed; it will be polled again")
        if not watch.over:
            self._schedule.expedite(watch, watch.rule.due, time.monotonic())


class ListenerWatch:
    """The connections that this process accepts; a context manager."""

    def __init__(
        self, watcher: AsyncWatcher, sockets: AcceptedSockets | None, on_dead: Callable[[Death], object]
    ) -> None:
        """``sockets``: None if nothing can be watched here."""
        self._watcher, self._sockets, self._on_dead = watcher, sockets, on_dead
        self._timer: asyncio.TimerHandle | None = None
        self._watches: set[AsyncWatch] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start watching; may be called again, so that it also works where a server has no event for its start."""
        if self._timer is None and self._sockets is not None:
            self._scan(self._watcher.bind())

    def stop(self) -> None:
        """Stop watching; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for watch in self._watches:
            watch.stop()
        self._watches.clear()

    def _scan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._watcher.terms.poll / TURNS, self._scan, loop)
        # A part of the descriptors at a time: with ten thousand of them the loop would stand still for long.
        self._watches = {watch for watch in self._watches if not watch.over}
        assert self._sockets is not None
        for sock in self._sockets.scan_part(TURNS):
            watch = AsyncWatch(self._watcher, sock, None, self._on_dead, None)
            watch.is_found = True
            self._watcher.add(watch)
            self._watches.add(watch)


def _resolve(connection: object) -> tuple[BorrowedSocket | None, Any]:
    """Return a connection's socket, None if it is closed, and its transport, if it shows one."""
    transport: Any = connection if callable(getattr(connection, "abort", None)) else None
    if transport is None and hasattr(connection, "transport"):
        transport = connection.transport
        if transport is None:
            return None, None
    holder = connection if transport is None else transport
    get_extra_info = getattr(holder, "get_extra_info", None)
    owner = get_extra_info("socket") if callable(get_extra_info) else holder
    if transport is not None and transport.is_closing():
        return None, None
    fileno = getattr(owner, "fileno", None)
    if not callable(fileno):
        raise TypeError(_refusal(connection))
    descriptor = fileno()
    if not isinstance(descriptor, int):  # Tornado's streams return their socket
        descriptor = descriptor.fileno()
    if descriptor == -1:
        return None, None
    return _borrow(descriptor, connection), transport


def _borrow(descriptor: int, connection: object) -> BorrowedSocket | None:
    try:
        sock = BorrowedSocket(descriptor)
        if sock.is_tcp():
            read(sock)
            return sock
    except OSError as error:
        raise ValueError(f"connection: {_name(connection)} is no TCP connection; {error}") from None
    raise ValueError(f"connection: {_name(connection)} is no TCP connection; only those can be watched")


def _refusal(connection: object) -> str:
    name = _name(connection)
    if hasattr(connection, "protocol_mutex"):
        return f"connection: AsyncWatcher cannot watch a {name}, which has threads; use halfopen.liveness.Watcher"
    if hasattr(connection, "sockets"):
        return f"connection: a {name} is no connection; use watch_listener(port) for all that it accepts"
    return (
        f"connection: AsyncWatcher cannot watch a {name}; pass its transport or socket, "
        "or use watch_listener(port) if it does not show them"
    )


def _name(connection: object) -> str:
    kind = type(connection)
    return f"{kind.__module__}.{kind.__qualname__}"


def _peer(sock: BorrowedSocket) -> str:
    try:
        host, port, *_ = sock.getpeername()
    except OSError:  # already reset
        return "a client that is gone"
    return f"{host} port {port}"


def _ignore(_: Death) -> None:
    pass
