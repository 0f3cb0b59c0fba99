"""Many clients in one process: each a socket and a protocol, one thread, one selector.

Clients come back after their sessions end, with exponential backoff. Reports carry a client's number. Those on its
progress are one for all.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import random
import resource
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from websockets.protocol import State

from halfopen.clients._behaviour import Behaviour, ClientOptions
from halfopen.clients._conversation import END_OF_HEADERS, HUNG_UP, Conversation, refusal
from halfopen.clients._machine import RECV_SIZE, new_socket, secured
from halfopen.clients._messages import CrowdOrder, Endpoint, Retry, report

#: Seconds between two reports on all clients.
_REPORT_INTERVAL = 1.0
#: Seconds without data that are worth a report. Slower streams have gaps of their own.
_GAP = 1.0
#: Seconds for the other side's part of a closing handshake; websockets waits as long (close_timeout).
_CLOSES_WITHIN = 10.0
#: Descriptors of the process besides its sockets.
_OTHER_FILES = 64
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_WANTS = {ssl.SSLWantReadError: _READ, ssl.SSLWantWriteError: _WRITE, BlockingIOError: _READ}


class Backoff:
    """The waits before the next attempts to connect."""

    def __init__(self, retry: Retry, drawn: random.Random) -> None:
        self._retry, self._random = retry, drawn
        self._failures = 0

    def begin_again(self) -> None:
        """Start with the shortest wait again."""
        self._failures = 0

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        wait = min(self._retry.most, self._retry.base * 2.0**self._failures)
        self._failures += 1
        return wait * (1 - self._retry.jitter * self._random.random())


class CrowdMember:
    """One client. Its crowd calls it when its socket is ready, and when it is due."""

    def __init__(self, number: int, endpoint: Endpoint, crowd: Crowd) -> None:
        self.number = number
        self.due: float | None = time.monotonic()
        """Moment at which something is to be done without the socket; None: never."""
        self.data_at: float | None = None
        """Moment of the last data, over any connection; None before the first."""
        self.received = 0
        self.is_open = False
        self.is_served = False
        """True once data came over the present connection."""
        self.scheduled_at: float | None = None
        """The crowd's own note: its next call without the socket."""
        self._endpoint, self._crowd = endpoint, crowd
        drawn = random.Random(f"{crowd.order.seed}/{number}")
        self._backoff = None if crowd.order.retry is None else Backoff(crowd.order.retry, drawn)
        self._leaves = False
        self._attempt = 0
        self._talk: Conversation | None = None
        self._sock: socket.socket | None = None
        self._step: Callable[[], None] = self._open
        """The next thing to do when the socket is ready."""
        self._closes_at: float | None = None
        self._answer = b""
        self._unsent = b""

    def act(self, now: float) -> None:
        """Do whatever is due: connect, give up, or read on."""
        if self._sock is None:
            self._connect()
        elif not self.is_open:
            self._fail("unanswered", within=self._crowd.order.connects_within)
        elif self._closes_at is not None and now >= self._closes_at:
            self._end("unanswered_close")
        elif self._has_lost_patience(now):
            self._end("gave_up")
        else:
            self.ready()

    def ready(self) -> None:
        """Go on, since the socket is ready."""
        try:
            self._step()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError) as wanted:
            if self.is_open:
                self._watch()
            else:
                self._crowd.watch(self, self._sock, _WANTS[type(wanted)])
        except OSError as error:
            self._broken(error)

    def leave(self) -> None:
        """Close the session properly, and never come back."""
        self._leaves = True
        if self._talk is not None and self.is_open and not self._talk.is_closing:
            self._talk.close()
            self._closes_at = time.monotonic() + _CLOSES_WITHIN
            with self._breaking():
                self._flush()
                self._watch()
        elif not self.is_open:
            self._drop()
            self.due = None

    def ping(self) -> None:
        """Send a ping, if the session is open."""
        if self._talk is not None and self.is_open and not self._talk.is_closing:
            self._talk.protocol.send_ping(b"halfopen")
            with self._breaking():
                self._flush()

    def _report(self, name: str, **data: Any) -> None:
        report(name, number=self.number, attempt=self._attempt, **data)

    def _hear(self, name: str, **data: Any) -> None:
        """Pass on the reports of a conversation that say something about one client among many."""
        if name in ("close_received", "protocol_error"):
            self._report(name, **data)

    def _connect(self) -> None:
        self._attempt += 1
        make, options = self._crowd.make_behaviour, self._crowd.options
        self._talk = Conversation(make(options), options, self._endpoint, self._hear)
        self._sock = sock = new_socket(options)
        sock.setblocking(False)
        self.due = time.monotonic() + self._crowd.order.connects_within
        self._crowd.schedule(self)
        self._answer, self._unsent, self._closes_at = b"", b"", None
        self._step = self._connected
        self._report("connecting")
        error = sock.connect_ex((self._talk.uri.host, self._talk.uri.port))
        if error in (0, errno.EINPROGRESS):
            self._crowd.watch(self, sock, _WRITE)
        else:
            self._fail("unreachable", why=os.strerror(error).lower())

    def _connected(self) -> None:
        assert self._sock is not None
        assert self._talk is not None
        if error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        if self._talk.uri.secure:
            self._crowd.unwatch(self._sock)
            self._sock = secured(self._sock, self._talk.uri.host, self._endpoint.authority)
        self._step = self._secure
        self._secure()

    def _secure(self) -> None:
        assert self._talk is not None
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.do_handshake()
        self._talk.protocol.send_request(self._talk.request())
        self._step = self._shake_hands
        self._flush()
        self._crowd.watch(self, self._sock, _READ)

    def _shake_hands(self) -> None:
        assert self._talk is not None
        protocol = self._talk.protocol
        data = self._recv()
        if not data and not self._answer:
            raise ConnectionError
        self._answer += data
        protocol.receive_data(data) if data else protocol.receive_eof()
        if (refused := refusal(protocol)) is not None:
            self._fail("refused", **refused)
        elif protocol.state is not State.CONNECTING:
            self._open()

    def _open(self) -> None:
        assert self._sock is not None
        assert self._talk is not None
        self.is_open = True
        self._report("opened", local=self._sock.getsockname()[:2])
        self._talk.open(len(self._answer.partition(END_OF_HEADERS)[2]))
        self._step = self._read
        self._talk.begin()
        self._take_note(0)
        self._flush()
        self._watch()

    def _read(self) -> None:
        assert self._talk is not None
        self._flush()
        allowance = RECV_SIZE if self._talk.is_closing else self._talk.behaviour.allowance(time.monotonic())
        if allowance:
            before = self._talk.received
            data = self._recv(min(allowance, RECV_SIZE))
            if not data:
                self._talk.protocol.receive_eof()
                self._end("closed")
                return
            self._talk.receive(data)
            self._take_note(before)
            self._talk.acknowledge()
            self._flush()
        self._watch()

    def _recv(self, size: int = RECV_SIZE) -> bytes:
        assert self._sock is not None
        return self._sock.recv(size)

    def _take_note(self, before: int) -> None:
        """Report the first data of a connection, and the end of a gap."""
        assert self._talk is not None
        self.received += self._talk.received - before
        if not self._talk.is_served:
            return
        if self._backoff is not None:
            self._backoff.begin_again()
        if not self.is_served:
            self.is_served = True
            self._report("served")
        silent_for = 0.0 if self.data_at is None else self._talk.data_at - self.data_at
        if silent_for >= _GAP:
            self._report("gap", seconds=round(silent_for, 6))
        self.data_at = self._talk.data_at

    def _flush(self) -> None:
        """Pass on what the protocol has to send, or keep it until the kernel takes it."""
        assert self._talk is not None
        assert self._sock is not None
        for data in self._talk.protocol.data_to_send():
            if data:
                self._unsent += data
            elif not self._unsent:  # the protocol's end of file
                socket.socket.shutdown(self._sock, socket.SHUT_WR)
        while self._unsent:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                return

    def _watch(self) -> None:
        """Wait for the socket or, if nothing may be read now, for the time at which something may."""
        assert self._talk is not None
        assert self._sock is not None
        if self._talk.is_closing and self._closes_at is None:
            self._closes_at = time.monotonic() + _CLOSES_WITHIN
        now = time.monotonic()
        may_read = self._talk.is_closing or self._talk.behaviour.allowance(now) > 0
        moments = [self._closes_at, self._impatient_at(), None if may_read else self._talk.behaviour.next_at()]
        if may_read and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            # A selector does not report bytes that TLS has already deciphered.
            moments.append(now)
        self.due = min((moment for moment in moments if moment is not None), default=None)
        self._crowd.schedule(self)
        self._crowd.watch(self, self._sock, (_READ if may_read else 0) | (_WRITE if self._unsent else 0))

    def _impatient_at(self) -> float | None:
        patience = self._crowd.order.patience
        if patience is None or self._talk is None or self._closes_at is not None:
            return None
        return self._talk.data_at + patience

    def _has_lost_patience(self, now: float) -> bool:
        moment = self._impatient_at()
        return moment is not None and now >= moment

    @contextlib.contextmanager
    def _breaking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._broken(error)

    def _broken(self, error: OSError) -> None:
        text = (error.strerror or str(error)).lower()
        if self.is_open:
            self._end(type(error).__name__, text=text)
        elif self._step == self._connected:
            self._fail("unreachable", why=text)
        else:
            self._fail("refused", why=HUNG_UP if isinstance(error, ConnectionError) else text, status=None)

    def _fail(self, name: str, **data: Any) -> None:
        self._report(name, **data)
        self._drop()
        self._come_back()

    def _end(self, how: str, **data: Any) -> None:
        assert self._talk is not None
        self._report("ended", how=how, code=self._talk.protocol.close_code, **data)
        self._drop()
        self._come_back()

    def _drop(self) -> None:
        self.is_open = self.is_served = False
        if self._sock is not None:
            self._crowd.unwatch(self._sock)
            self._sock.close()
        self._sock = self._talk = None

    def _come_back(self) -> None:
        self.due = None
        if self._backoff is not None and not self._leaves:
            self.due = time.monotonic() + self._backoff.next()
            self._crowd.schedule(self)


class Crowd:
    """All clients of one process, until none has anything left to do, or the harness is gone."""

    def __init__(self, make_behaviour: type[Behaviour], options: ClientOptions, order: CrowdOrder) -> None:
        self.make_behaviour, self.options, self.order = make_behaviour, options, order
        self._selector = selectors.DefaultSelector()
        self._agenda: list[tuple[float, int]] = []
        self._members = [CrowdMember(number, endpoint, self) for number, endpoint in enumerate(order.endpoints)]
        self._begun_at = time.monotonic()
        self._is_attended = True

    def run(self) -> None:
        """Run them all."""
        _allow_files(len(self._members) + _OTHER_FILES)
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, _READ, None)
        for member in self._members:
            self.schedule(member)
        report_at = time.monotonic() + _REPORT_INTERVAL
        while self._is_attended and any(member.due is not None or member.is_open for member in self._members):
            now = time.monotonic()
            if now >= report_at:
                self._report_progress(now)
                report_at = now + _REPORT_INTERVAL
            self._act(now)
            wake_at = min(report_at, self._agenda[0][0]) if self._agenda else report_at
            for key, _ in self._selector.select(max(0.0, wake_at - time.monotonic())):
                if key.data is None:
                    self._obey()
                elif key.fileobj in self._selector.get_map():  # another's turn may have ended it
                    key.data.ready()
        self._report_progress(time.monotonic())

    def schedule(self, member: CrowdMember) -> None:
        """Call the member when it is due. Its turn comes no later for a later one, which data bring all the time."""
        if member.due is not None and (member.scheduled_at is None or member.due < member.scheduled_at):
            member.scheduled_at = member.due
            heapq.heappush(self._agenda, (member.due, member.number))

    def watch(self, member: CrowdMember, sock: socket.socket | None, events: int) -> None:
        """Call the member when its socket is ready for these events; 0: do not."""
        assert sock is not None
        key = self._selector.get_map().get(sock)
        if not events:
            self.unwatch(sock)
        elif key is None:
            self._selector.register(sock, events, member)
        elif key.events != events:
            self._selector.modify(sock, events, member)

    def unwatch(self, sock: socket.socket) -> None:
        """Do not watch a socket any more."""
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _act(self, now: float) -> None:
        """Call the members that are due."""
        while self._agenda and self._agenda[0][0] <= now:
            moment, number = heapq.heappop(self._agenda)
            member = self._members[number]
            if moment != member.scheduled_at:  # an earlier turn took its place
                continue
            member.scheduled_at = None
            if member.due is not None and member.due <= now:
                member.act(now)
            self.schedule(member)

    def _report_progress(self, now: float) -> None:
        silences = [now - member.data_at for member in self._members if member.data_at is not None]
        silent = [seconds for seconds in silences if seconds >= _GAP]
        report(
            "progress",
            open=sum(member.is_open for member in self._members),
            served=len(silences) - len(silent),
            received=sum(member.received for member in self._members),
            silent_for=round(max(silences, default=0.0), 6),
        )

    def _report_silences(self, now: float) -> None:
        """Report the clients that get no data now, with the seconds since the last, or since the crowd began."""
        since = [(member.number, now - (member.data_at or self._begun_at)) for member in self._members]
        report("standing", silent=[(number, round(seconds, 6)) for number, seconds in since if seconds >= _GAP])

    def _obey(self) -> None:
        """Carry out the harness's orders on stdin."""
        line = sys.stdin.readline().strip()
        if not line:
            self._is_attended = False
        elif line == "close":
            self._report_silences(time.monotonic())
            report("closing", code=1000)
            for member in self._members:
                member.leave()
        else:
            assert line == "ping", line
            for member in self._members:
                member.ping()
            report("pinged")


def _allow_files(count: int) -> None:
    """Raise the limit of open files, as far as the user may (getrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
