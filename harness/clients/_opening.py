"""From a connection to a session, or to the words that say why there is none: refused, or never answered."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.protocol import State

from halfopen.clients._reporting import report
from halfopen.netns import tcp_info

#: A server has so long to answer the handshake, seconds: many times what the slowest link takes.
ANSWER_WITHIN = 30.0
_LEAST_WAIT = 0.001
_RECV_SIZE = 65536
_END_OF_HEADERS = b"\r\n\r\n"
_HUNG_UP = "the server closed the connection without an answer"


class NotOpenedError(Exception):
    """There is no session, and the harness was told why."""


@contextlib.contextmanager
def told(sock: socket.socket) -> Iterator[None]:
    """Report what keeps a connected socket from becoming a session; raises NotOpenedError for it."""
    try:
        yield
    except TimeoutError:
        # Whose fault that is, the kernel knows: what it was sent, the server's acknowledged, or the link lost.
        report("unanswered", within=ANSWER_WITHIN, delivered=_delivered(sock))
        raise NotOpenedError from None
    except ConnectionError:
        # Whether it is seen as a reset, a broken pipe or an end depends on which packet came first.
        report("refused", why=_HUNG_UP, status=None)
        raise NotOpenedError from None
    except OSError as error:
        report("refused", why=(error.strerror or str(error)).lower(), status=None)
        raise NotOpenedError from None


def shake_hands(protocol: ClientProtocol, request: Request, sock: socket.socket, flush: Callable[[], None]) -> int:
    """Complete the handshake (RFC 6455, section 4.1) within ANSWER_WITHIN; raises NotOpenedError, OSError.

    Gives how many bytes of the session came with the answer.
    """
    until = time.monotonic() + ANSWER_WITHIN
    protocol.send_request(request)
    flush()
    came = b""
    while protocol.state is State.CONNECTING and not protocol.handshake_exc:
        # For all of it: what comes a byte at a time is no answer either.
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
    """Whether the peer's kernel acknowledged all that was sent (tcp_info, include/uapi/linux/tcp.h)."""
    info = tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.MAX_SIZE))
    return not info.unacked and not info.notsent
