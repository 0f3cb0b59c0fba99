"""From a connection to a session, or to the reason why there is none: refused, or never answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.protocol import State

from halfopen.clients._messages import report
from halfopen.netns import tcp_info

#: Seconds within which a server must answer the handshake: many times the delay of the slowest link.
ANSWER_WITHIN = 30.0
_LEAST_WAIT = 0.001
_RECV_SIZE = 65536
_END_OF_HEADERS = b"\r\n\r\n"
_HUNG_UP = "the server closed the connection without an answer"


class NotOpenedError(Exception):
    """There is no session, and the harness has the reason."""


@contextlib.contextmanager
def reporting_failure(sock: socket.socket) -> Iterator[None]:
    """Report the reason why a connected socket becomes no session; raises NotOpenedError for it."""
    try:
        yield
    except TimeoutError:
        # The kernel knows the cause: the server acknowledged the request, or the link lost it.
        report("unanswered", within=ANSWER_WITHIN, delivered=_delivered(sock))
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
        report("refused", why=": ".join(causes), status=status)
        raise NotOpenedError
    return len(came.partition(_END_OF_HEADERS)[2])


def _delivered(sock: socket.socket) -> bool:
    """True if the peer's kernel acknowledged all that was sent (tcp_info, include/uapi/linux/tcp.h)."""
    info = tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))
    return not info.unacked and not info.notsent
