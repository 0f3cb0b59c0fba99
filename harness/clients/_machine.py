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
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from halfopen.clients._behaviour import Behaviour, ClientOptions
from halfopen.clients._messages import Endpoint, report
from halfopen.netns import tcp_info

#: Seconds between two progress reports of a client.
_REPORT_INTERVAL = 0.5
_CONNECT_TIMEOUT = 30.0
_RECV_SIZE = 65536
#: Seconds within which a server must answer the handshake: many times the delay of the slowest link.
ANSWER_WITHIN = 30.0
_LEAST_WAIT = 0.001
#: Bytes of the message that a reset cuts short.
_CUT_SHORT = 1024
#: Message of a client that only talks, to a server that wants no acknowledgements.
_CHATTER = b'"' + b"x" * 62 + b'"'
#: Seconds without received data that are worth a report.
_GAP = 0.25
_DATA = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)
#: Bytes of the header of a server's control frame (RFC 6455, section 5.2).
_CONTROL_HEADER = 2
_END_OF_HEADERS = b"\r\n\r\n"
_EXTENSIONS, _DEFLATE = "sec-websocket-extensions", "permessage-deflate"
#: Most characters of a refusal's body that are reported.
_LONGEST_BODY = 200
_HUNG_UP = "the server closed the connection without an answer"


class ClientMachine:
    """Connects, then reads and acknowledges as the behaviour decides, until one side ends it."""

    def __init__(self, behaviour: Behaviour, options: ClientOptions, endpoint: Endpoint) -> None:
        self._behaviour = behaviour
        self._endpoint = endpoint
        self._uri = parse_uri(endpoint.url)
        offered = [Subprotocol(name) for name in endpoint.subprotocols]
        self._compresses = options.compression or _names_deflate(endpoint)
        extensions = [ClientPerMessageDeflateFactory()] if self._compresses else None
        self._protocol = ClientProtocol(self._uri, subprotocols=offered or None, extensions=extensions, max_size=None)
        self._sock = self._connect(options, endpoint.authority)
        self._read = 0
        self._received = 0
        self._messages = 0
        self._largest = 0
        self._message = 0
        """Bytes of the message that is arriving in fragments."""
        self._acknowledged = 0
        self._spoken = 0
        """Bytes of the messages that its behaviour made it send."""
        self._control = 0
        """Bytes of the control frames in what was read last."""
        self._is_served = False
        self._data_at = 0.0
        """Moment of the last received data."""
        self._reported_at = 0.0
        self._closing = False
        self._is_mute = False
        self._selector = selectors.DefaultSelector()

    def _connect(self, options: ClientOptions, authority: str | None) -> socket.socket:
        sock = socket.socket()
        if options.autotune_to is None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_CONNECT_TIMEOUT)
        report("connecting")
        try:
            sock.connect((self._uri.host, self._uri.port))
        except (ConnectionResetError, BrokenPipeError):
            # The connection was made: the server accepted and closed it before this process ran again.
            with sock, reporting_failure(sock):
                raise
        report("connected", local=sock.getsockname()[:2])
        if not self._uri.secure:
            return sock
        context = ssl.create_default_context(cafile=authority)
        return context.wrap_socket(sock, server_hostname=self._uri.host, do_handshake_on_connect=False)

    def run(self) -> None:
        """Run one session, from the handshake to its end; raises NotOpenedError."""
        with reporting_failure(self._sock):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.do_handshake()
            self._read = shake_hands(self._protocol, self._request(), self._sock, self._flush)
        self._data_at = time.monotonic()
        report("opened", acknowledging=bool(self._endpoint.acknowledge), sends=bool(self._endpoint.send))
        self._sock.setblocking(False)
        os.set_blocking(sys.stdin.fileno(), False)
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._obey)
        try:
            # Handle data that came with the answer to the handshake, and request the stream.
            self._take_in(self._read)
            for text in () if self._closing else self._endpoint.send:
                self._protocol.send_text(text.encode())
            self._flush()
            while self._turn():
                pass
        except OSError as error:
            report("ended", how=type(error).__name__, text=error.strerror or str(error))
        else:
            close = self._protocol.close_code
            report("ended", how="closed", code=close, received=self._received)

    def _request(self) -> Request:
        request = self._protocol.connect()
        for name, value in self._endpoint.headers.items():
            if name.lower() == _EXTENSIONS and self._compresses:  # ours offers what this client can do
                continue
            # A user's header replaces ours: Origin, User-Agent.
            request.headers.pop(name, None)
            request.headers[name] = value
        return request

    def _turn(self) -> bool:
        """Run one round; False when the session is over."""
        now = time.monotonic()
        if now >= self._reported_at + _REPORT_INTERVAL:
            self._reported_at = now
            self._report_progress()
        # Once closing, read and drop everything before the other side's close frame.
        allowance = _RECV_SIZE if self._closing else self._behaviour.allowance(now)
        self._watch_socket(allowance > 0)
        wake_at = min(self._reported_at + _REPORT_INTERVAL, self._behaviour.speaks_at())
        if not allowance:
            wake_at = min(wake_at, self._behaviour.next_at())
        # A selector does not report bytes that TLS has already deciphered.
        pending = allowance > 0 and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
        ready = [key for key, _ in self._selector.select(0.0 if pending else max(0.0, wake_at - now))]
        for obey in (key.data for key in ready if key.data is not None):
            obey()
        if self._sock.fileno() < 0:
            return False
        if (pending or any(key.data is None for key in ready)) and not self._receive(min(allowance, _RECV_SIZE)):
            return False
        if not self._closing:
            self._acknowledge()
        self._flush()
        if not self._closing and self._behaviour.speaks_at() <= now:
            self._speak(self._behaviour.messages(now))
        return True

    def _report_progress(self) -> None:
        report(
            "progress",
            read=self._read,
            received=self._received,
            acknowledged=self._acknowledged,
            messages=self._messages,
            largest=self._largest,
            spoken=self._spoken,
            silent_for=round(time.monotonic() - self._data_at, 6),
        )

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
            self._protocol.receive_eof()
            return False
        self._read += len(data)
        self._protocol.receive_data(data)
        self._take_in(len(data))
        return True

    def _take_in(self, size: int) -> None:
        """Handle the frames in so many new bytes. Whatever is no control frame is data, or a part of it."""
        self._control = 0
        self._handle_events()
        if size <= self._control:
            return
        now = time.monotonic()
        if not self._is_served:
            self._is_served = True
            report("first_data")
        if (silent_for := now - self._data_at) >= _GAP:
            report("gap", seconds=round(silent_for, 6))
        self._data_at = now

    def _handle_events(self) -> None:
        broken = self._protocol.parser_exc
        if broken is not None and not self._closing:
            self._closing = True
            report("protocol_error", why=str(broken))
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode not in _DATA:
                self._control += _CONTROL_HEADER + len(event.data)
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._count(event)
                self._reply(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE and not self._closing:
                self._closing = True
                close = Close.parse(event.data)
                report("close_received", code=close.code, reason=close.reason)
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                report("close_answered", code=Close.parse(event.data).code)
            elif isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
                report("ping_received" if event.opcode is Opcode.PING else "pong_received")
            elif isinstance(event, Response):
                extensions = event.headers.get_all("Sec-WebSocket-Extensions")
                server = ", ".join(event.headers.get_all("Server")) or None
                report("accepted", status=event.status_code, extensions=extensions, server=server)

    def _count(self, frame: Frame) -> None:
        self._received += len(frame.data)
        self._message += len(frame.data)
        if frame.fin:
            self._messages += 1
            self._largest = max(self._largest, self._message)
            self._message = 0

    def _reply(self, frame: Frame) -> None:
        """Answer the application's own heartbeat; heartbeats are never fragmented."""
        if frame.opcode is Opcode.TEXT and frame.fin and not self._closing:
            answer = self._endpoint.replies.get(bytes(frame.data).decode(errors="replace"))
            if answer is not None:
                self._protocol.send_text(answer.encode())

    def _acknowledge(self) -> None:
        count = self._behaviour.acknowledgement(self._received)
        if count is None or count == self._acknowledged:
            return
        self._acknowledged = count
        if self._endpoint.acknowledge:
            self._protocol.send_text(self._acknowledgement_text())

    def _acknowledgement_text(self) -> bytes:
        return (self._endpoint.acknowledge or "").replace("{bytes}", str(self._acknowledged)).encode()

    def _speak(self, count: int) -> None:
        """Send messages for as long as the kernel takes them at once.

        They are acknowledgements if the server wants any, since it may end a client for a message that it does not
        know.
        """
        text = self._acknowledgement_text() or _CHATTER
        for _ in range(count):
            if not select.select([], [self._sock], [], 0)[1]:
                return
            self._protocol.send_text(text)
            self._flush()
            self._spoken += len(text)

    def _obey(self) -> None:
        """Carry out the harness's orders on stdin."""
        line = sys.stdin.readline().strip()
        if not line:
            self._selector.unregister(sys.stdin)
        elif line == "close" and not self._closing:
            self._closing = True
            report("closing", code=1000)
            self._protocol.send_close(1000)
        elif line == "half-close" and not self._is_mute:
            self._flush()
            self._shut_writing()
            self._is_mute = True
            report("half_closed")
        elif line == "ping" and not self._closing:
            self._protocol.send_ping(b"halfopen")
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
        for data in self._protocol.data_to_send():
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


def _words_of(response: Response) -> str:
    """Return the first words of the body of a refusal in plain text or JSON; empty for any other."""
    kind = response.headers.get("Content-Type", "text/plain")
    if not response.body or not kind.startswith(("text/plain", "application/json", "application/problem+json")):
        return ""
    words = " ".join(bytes(response.body).decode(errors="replace").split())
    return repr(words if len(words) <= _LONGEST_BODY else f"{words[:_LONGEST_BODY]}...") if words else ""


def _names_deflate(endpoint: Endpoint) -> bool:
    """True if a user's header offers permessage-deflate (RFC 7692)."""
    headers = endpoint.headers.items()
    return any(name.lower() == _EXTENSIONS and _DEFLATE in value.lower() for name, value in headers)


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
        report("refused", why=_HUNG_UP, status=None)
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
        data = sock.recv(_RECV_SIZE)
        if not data and not came:
            raise ConnectionError
        came += data
        protocol.receive_data(data) if data else protocol.receive_eof()
    if refusal := protocol.handshake_exc:
        causes = [str(error) for error in (refusal, refusal.__cause__) if error]
        status = refusal.response.status_code if isinstance(refusal, InvalidStatus) else None
        body = _words_of(refusal.response) if isinstance(refusal, InvalidStatus) else ""
        report("refused", why=": ".join([*causes, *filter(None, [body])]), status=status)
        raise NotOpenedError
    return len(came.partition(_END_OF_HEADERS)[2])
