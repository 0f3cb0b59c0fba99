"""The machine under every behaviour: one thread, one socket, and websockets' protocol without its I/O."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from halfopen.clients._behaviour import Behaviour, ClientOptions
from halfopen.clients._conversation import END_OF_HEADERS, HUNG_UP, Conversation, refusal
from halfopen.clients._messages import Endpoint, report
from halfopen.netns import tcp_info

REPORT_INTERVAL = 0.5
"""Seconds between two progress reports."""
_CONNECT_TIMEOUT = 30.0
RECV_SIZE = 65536
"""Most bytes of one read."""
#: Seconds within which a server must answer the handshake: many times the delay of the slowest link.
ANSWER_WITHIN = 30.0
_LEAST_WAIT = 0.001
#: Bytes of the message that a reset cuts short.
_CUT_SHORT = 1024


class ClientMachine:
    """Connects, then reads and acknowledges as the behaviour decides, until one side ends it."""

    def __init__(self, behaviour: Behaviour, options: ClientOptions, endpoint: Endpoint) -> None:
        self._talk = Conversation(behaviour, options, endpoint, report)
        self._sock = self._connect(options, endpoint.authority)
        self._reported_at = 0.0
        self._is_mute = False
        self._selector = selectors.DefaultSelector()

    def _connect(self, options: ClientOptions, authority: str | None) -> socket.socket:
        sock, uri = new_socket(options), self._talk.uri
        sock.settimeout(_CONNECT_TIMEOUT)
        report("connecting")
        try:
            sock.connect((uri.host, uri.port))
        except (ConnectionResetError, BrokenPipeError):
            # The connection was made: the server accepted and closed it before this process ran again.
            with sock, reporting_failure(sock):
                raise
        report("connected", local=sock.getsockname()[:2])
        return secured(sock, uri.host, authority) if uri.secure else sock

    def run(self) -> None:
        """Run one session, from the handshake to its end; raises NotOpenedError."""
        with reporting_failure(self._sock):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.do_handshake()
            size = shake_hands(self._talk.protocol, self._talk.request(), self._sock, self._flush)
        self._talk.open(size)
        self._sock.setblocking(False)
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._obey)
        try:
            self._talk.begin()
            self._flush()
            while self._turn():
                pass
        except OSError as error:
            report("ended", how=type(error).__name__, text=error.strerror or str(error))
        else:
            report("ended", how="closed", code=self._talk.protocol.close_code, received=self._talk.received)

    def _turn(self) -> bool:
        """Run one round; False when the session is over."""
        now = time.monotonic()
        if now >= self._reported_at + REPORT_INTERVAL:
            self._reported_at = now
            self._talk.report_progress()
        # Once closing, read and drop everything before the other side's close frame.
        behaviour = self._talk.behaviour
        allowance = RECV_SIZE if self._talk.is_closing else behaviour.allowance(now)
        self._watch_socket(allowance > 0)
        wake_at = min(self._reported_at + REPORT_INTERVAL, behaviour.speaks_at())
        if not allowance:
            wake_at = min(wake_at, behaviour.next_at())
        # A selector does not report bytes that TLS has already deciphered.
        pending = allowance > 0 and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
        ready = [key for key, _ in self._selector.select(0.0 if pending else max(0.0, wake_at - now))]
        for obey in (key.data for key in ready if key.data is not None):
            obey()
        if self._sock.fileno() < 0:
            return False
        if (pending or any(key.data is None for key in ready)) and not self._receive(min(allowance, RECV_SIZE)):
            return False
        self._talk.acknowledge()
        self._flush()
        if not self._talk.is_closing and behaviour.speaks_at() <= now:
            self._speak(behaviour.messages(now))
        return True

    def _watch_socket(self, wanted: bool) -> None:
        if wanted == (self._sock in self._selector.get_map()):
            return
        if wanted:
            self._selector.register(self._sock, selectors.EVENT_READ, None)
        else:
            self._selector.unregister(self._sock)

    def _receive(self, size: int) -> bool:
        try:
            data = self._sock.recv(size)
        except ssl.SSLWantReadError:  # not a whole record yet
            return True
        if not data:
            self._talk.protocol.receive_eof()
            return False
        self._talk.receive(data)
        return True

    def _speak(self, count: int) -> None:
        """Send messages for as long as the kernel takes them at once."""
        for _ in range(count):
            if not select.select([], [self._sock], [], 0)[1]:
                return
            self._talk.chatter()
            self._flush()

    def _obey(self) -> None:
        """Carry out the harness's orders on stdin."""
        line = sys.stdin.readline().strip()
        if not line:
            self._selector.unregister(sys.stdin)
        elif line == "close" and not self._talk.is_closing:
            self._talk.close()
        elif line == "half-close" and not self._is_mute:
            self._flush()
            self._shut_writing()
            self._is_mute = True
            report("half_closed")
        elif line == "ping" and not self._talk.is_closing:
            self._talk.protocol.send_ping(b"halfopen")
            report("pinged")
        elif line == "reset":
            self._reset()
        else:
            assert line in ("close", "half-close", "ping"), line

    def _reset(self) -> None:
        """Send half a message, and reset the connection (SO_LINGER of 0 s, socket(7))."""
        message = Frame(Opcode.BINARY, bytes(_CUT_SHORT)).serialize(mask=True)
        self._send(message[: len(message) // 2])
        self._watch_socket(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        report("reset", sent=len(message) // 2, of=len(message))

    def _shut_writing(self) -> None:
        # Not the TLS socket's own shutdown, after which it would take incoming data for plain text.
        socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def _flush(self) -> None:
        for data in self._talk.protocol.data_to_send():
            if self._is_mute:
                continue
            if data:
                self._send(data)
            else:
                self._shut_writing()

    def _send(self, data: bytes) -> None:
        """Pass all of it to the kernel. Poll only when that is full, since each system call counts in a guest."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                if not select.select([], [self._sock], [], _CONNECT_TIMEOUT)[1]:
                    raise TimeoutError(f"the server took in nothing for {_CONNECT_TIMEOUT:g}s") from None


def new_socket(options: ClientOptions) -> socket.socket:
    """Return a socket with the options of a client's, not yet connected."""
    sock = socket.socket()
    if options.autotune_to is None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def secured(sock: socket.socket, host: str, authority: str | None) -> ssl.SSLSocket:
    """Return a connected socket that will speak TLS; the TLS handshake is the caller's."""
    context = ssl.create_default_context(cafile=authority)
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


class NotOpenedError(Exception):
    """There is no session, and the harness has the reason."""


@contextlib.contextmanager
def reporting_failure(sock: socket.socket) -> Iterator[None]:
    """Report the reason why a connected socket becomes no session; raises NotOpenedError for it."""
    try:
        yield
    except TimeoutError:
        # The kernel knows the cause: the server acknowledged the request, or the link lost it.
        info = tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))
        report("unanswered", within=ANSWER_WITHIN, delivered=not info.unacked and not info.notsent)
        raise NotOpenedError from None
    except ConnectionError:
        # It appears as a reset, a broken pipe or an end, depending on the first packet.
        report("refused", why=HUNG_UP, status=None)
        raise NotOpenedError from None
    except OSError as error:
        report("refused", why=(error.strerror or str(error)).lower(), status=None)
        raise NotOpenedError from None


def shake_hands(protocol: ClientProtocol, request: Request, sock: socket.socket, flush: Callable[[], None]) -> int:
    """Complete the handshake (RFC 6455, section 4.1) within ANSWER_WITHIN; raises NotOpenedError, OSError.

    Returns the number of session bytes that came with the answer.
    """
    until = time.monotonic() + ANSWER_WITHIN
    protocol.send_request(request)
    flush()
    came = b""
    while protocol.state is State.CONNECTING and not protocol.handshake_exc:
        # The limit is for the whole answer: one that comes a byte at a time is none either.
        sock.settimeout(max(_LEAST_WAIT, until - time.monotonic()))
        data = sock.recv(RECV_SIZE)
        if not data and not came:
            raise ConnectionError
        came += data
        protocol.receive_data(data) if data else protocol.receive_eof()
    if (refused := refusal(protocol)) is not None:
        report("refused", **refused)
        raise NotOpenedError
    return len(came.partition(END_OF_HEADERS)[2])
