"""One client's side of a session without its socket: messages received, acknowledgements and answers. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from halfopen.clients._behaviour import Behaviour, ClientOptions
from halfopen.clients._messages import Endpoint

#: Seconds without received data that are worth a report.
_GAP = 0.25
_DATA = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)
#: Bytes of the header of a server's control frame (RFC 6455, section 5.2).
_CONTROL_HEADER = 2
#: Message of a client that only talks, to a server that wants no acknowledgements.
_CHATTER = b'"' + b"x" * 62 + b'"'
_EXTENSIONS, _DEFLATE = "sec-websocket-extensions", "permessage-deflate"
#: Most characters of a refusal's body that are reported.
_LONGEST_BODY = 200
END_OF_HEADERS = b"\r\n\r\n"
HUNG_UP = "the server closed the connection without an answer"


class Conversation:
    """Feeds websockets' protocol, and reports on it. Its caller reads, writes and keeps the time."""

    def __init__(
        self, behaviour: Behaviour, options: ClientOptions, endpoint: Endpoint, report: Callable[..., None]
    ) -> None:
        self.behaviour = behaviour
        self._endpoint = endpoint
        self._report = report
        self.uri = parse_uri(endpoint.url)
        offered = [Subprotocol(name) for name in endpoint.subprotocols]
        self._compresses = options.compression or _names_deflate(endpoint)
        extensions = [ClientPerMessageDeflateFactory()] if self._compresses else None
        self.protocol = ClientProtocol(self.uri, subprotocols=offered or None, extensions=extensions, max_size=None)
        self.received = 0
        """Bytes of messages."""
        self.data_at = 0.0
        """Moment of the last received data, or of the opening."""
        self.is_closing = False
        self._read = 0
        self._messages = 0
        self._largest = 0
        self._message = 0
        """Bytes of the message that is arriving in fragments."""
        self._acknowledged = 0
        self._spoken = 0
        """Bytes of chatter sent."""
        self._control = 0
        """Bytes of the control frames in what was read last."""
        self.is_served = False
        """True once data was received."""

    def request(self) -> Request:
        """Return the request for the handshake (RFC 6455, section 4.1)."""
        request = self.protocol.connect()
        for name, value in self._endpoint.headers.items():
            if name.lower() == _EXTENSIONS and self._compresses:  # ours offers what this client can do
                continue
            # A user's header replaces ours: Origin, User-Agent.
            request.headers.pop(name, None)
            request.headers[name] = value
        return request

    def open(self, size: int) -> None:
        """Report the open session; ``size`` bytes of it came with the answer to the handshake."""
        self._read = size
        self.data_at = time.monotonic()
        self._report("opened", acknowledging=bool(self._endpoint.acknowledge), sends=bool(self._endpoint.send))

    def begin(self) -> None:
        """Handle data that came with the answer to the handshake, and request the stream."""
        self._take_in(self._read)
        for text in () if self.is_closing else self._endpoint.send:
            self.protocol.send_text(text.encode())

    def receive(self, data: bytes) -> None:
        """Handle bytes of the session."""
        self._read += len(data)
        self.protocol.receive_data(data)
        self._take_in(len(data))

    def acknowledge(self) -> None:
        """Acknowledge to the server's application what the behaviour wants to be acknowledged now."""
        count = None if self.is_closing else self.behaviour.acknowledgement(self.received)
        if count is None or count == self._acknowledged:
            return
        self._acknowledged = count
        if self._endpoint.acknowledge:
            self.protocol.send_text(self._acknowledgement())

    def _acknowledgement(self) -> bytes:
        return (self._endpoint.acknowledge or "").replace("{bytes}", str(self._acknowledged)).encode()

    def chatter(self) -> None:
        """Send a message of a client that only talks.

        It is an acknowledgement if the server wants any, since it may end a client for a message that it does not know.
        """
        text = self._acknowledgement() or _CHATTER
        self.protocol.send_text(text)
        self._spoken += len(text)

    def close(self) -> None:
        """Begin the closing handshake (RFC 6455, section 7.1.2)."""
        self.is_closing = True
        self._report("closing", code=1000)
        self.protocol.send_close(1000)

    def report_progress(self) -> None:
        """Report the counts so far."""
        self._report(
            "progress",
            read=self._read,
            received=self.received,
            acknowledged=self._acknowledged,
            messages=self._messages,
            largest=self._largest,
            spoken=self._spoken,
            silent_for=round(time.monotonic() - self.data_at, 6),
        )

    def _take_in(self, size: int) -> None:
        """Handle the frames in so many new bytes. Whatever is no control frame is data, or a part of it."""
        self._control = 0
        self._handle_events()
        if size <= self._control:
            return
        now = time.monotonic()
        if not self.is_served:
            self.is_served = True
            self._report("first_data")
        if (silent_for := now - self.data_at) >= _GAP:
            self._report("gap", seconds=round(silent_for, 6))
        self.data_at = now

    def _handle_events(self) -> None:
        broken = self.protocol.parser_exc
        if broken is not None and not self.is_closing:
            self.is_closing = True
            self._report("protocol_error", why=str(broken))
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode not in _DATA:
                self._control += _CONTROL_HEADER + len(event.data)
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._count(event)
                self._reply(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE and not self.is_closing:
                self.is_closing = True
                close = Close.parse(event.data)
                self._report("close_received", code=close.code, reason=close.reason)
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                self._report("close_answered", code=Close.parse(event.data).code)
            elif isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
                self._report("ping_received" if event.opcode is Opcode.PING else "pong_received")
            elif isinstance(event, Response):
                extensions = event.headers.get_all("Sec-WebSocket-Extensions")
                server = ", ".join(event.headers.get_all("Server")) or None
                self._report("accepted", status=event.status_code, extensions=extensions, server=server)

    def _count(self, frame: Frame) -> None:
        self.received += len(frame.data)
        self._message += len(frame.data)
        if frame.fin:
            self._messages += 1
            self._largest = max(self._largest, self._message)
            self._message = 0

    def _reply(self, frame: Frame) -> None:
        """Answer the application's own heartbeat; heartbeats are never fragmented."""
        if frame.opcode is Opcode.TEXT and frame.fin and not self.is_closing:
            answer = self._endpoint.replies.get(bytes(frame.data).decode(errors="replace"))
            if answer is not None:
                self.protocol.send_text(answer.encode())


def refusal(protocol: ClientProtocol) -> dict[str, Any] | None:
    """Return the refusal in the answer to the handshake, ``why`` and its HTTP ``status``; None if there is none."""
    refused = protocol.handshake_exc
    if refused is None:
        return None
    causes = [str(error) for error in (refused, refused.__cause__) if error]
    if not isinstance(refused, InvalidStatus):
        return {"why": ": ".join(causes), "status": None}
    body = _words_of(refused.response)
    why = ": ".join([*causes, *filter(None, [body])])
    location = refused.response.headers.get("Location")
    return {"why": why, "status": refused.response.status_code, **({"location": location} if location else {})}


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
