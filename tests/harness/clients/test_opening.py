"""The reports of a client that gets no session, over a loopback connection."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest
from websockets.client import ClientProtocol
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from halfopen.clients import _machine, draining
from halfopen.clients._conversation import Conversation
from halfopen.clients._machine import ClientMachine, NotOpenedError, reporting_failure, shake_hands
from halfopen.clients._messages import Endpoint


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            yield ours, theirs


def words(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    said: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return said


def test_what_the_servers_kernel_acknowledged_was_delivered(
    pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pair
    ours.sendall(b"GET / HTTP/1.1\r\n\r\n")
    theirs.recv(1)
    with pytest.raises(NotOpenedError), reporting_failure(ours):
        raise TimeoutError
    said = words(capsys)
    assert (said["name"], said["delivered"], said["within"]) == ("unanswered", True, _machine.ANSWER_WITHIN)


def test_what_is_still_queued_was_not_delivered(
    pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, _ = pair
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(bytes(1 << 20))
    with pytest.raises(NotOpenedError), reporting_failure(ours):
        raise TimeoutError
    assert words(capsys)["delivered"] is False


def test_what_came_with_the_answer_to_a_handshake_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    client, server = ClientProtocol(parse_uri("ws://x/")), ServerProtocol()

    def flush() -> None:
        server.receive_data(b"".join(client.data_to_send()))
        (asked,) = server.events_received()
        assert isinstance(asked, Request)
        server.send_response(server.accept(asked))
        server.send_binary(b"abc")
        theirs.sendall(b"".join(server.data_to_send()))

    assert shake_hands(client, client.connect(), ours, flush) == len(b"\x82\x03abc")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "the server closed the connection without an answer"),
        (BrokenPipeError(32, "Broken pipe"), "the server closed the connection without an answer"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "[ssl: wrong_version_number] wrong version",
        ),
    ],
)
def test_any_other_end_is_a_refusal_and_a_closed_connection_is_called_so_however_it_shows(
    error: OSError, why: str, pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotOpenedError), reporting_failure(pair[0]):
        raise error
    said = words(capsys)
    assert said["name"] == "refused"
    assert str(said["why"]).startswith(why)


def test_a_server_that_closes_before_its_client_wakes_up_has_closed_the_connection(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = draining.Options()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def connect(ours: socket.socket, address: tuple[str, int]) -> None:
            """Do what the real one does, with the server's whole part in the middle."""
            ours.setblocking(False)
            ours.connect_ex(address)
            theirs, _ = listener.accept()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            waiting = select.poll()
            waiting.register(ours, 0)  # for its end only
            assert waiting.poll()
            ours.setblocking(True)
            error = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(socket.socket, "connect", connect)
        endpoint = Endpoint(url=f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(NotOpenedError):
            ClientMachine(draining.Behaviour(options), options, endpoint)
    said = words(capsys)
    assert (said["name"], said["why"]) == ("refused", "the server closed the connection without an answer")


@pytest.mark.parametrize(
    ("kind", "body", "reported"),
    [
        ("text/plain", "Missing extension:\n  permessage-deflate", ": 'Missing extension: permessage-deflate'"),
        ("application/json", '{"detail": "no token"}', """: '{"detail": "no token"}'"""),
        ("text/plain", "x" * 300, f": '{'x' * 200}...'"),
        ("text/html", "<h1>Bad Request</h1>", ""),
        ("text/plain", "", ""),
    ],
)
def test_a_refusal_in_plain_words_is_quoted(
    pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str], kind: str, body: str, reported: str
) -> None:
    ours, theirs = pair
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    theirs.sendall(f"{head}{body}".encode())
    theirs.shutdown(socket.SHUT_WR)
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    with pytest.raises(NotOpenedError):
        shake_hands(protocol, protocol.connect(), ours, lambda: None)
    assert words(capsys)["why"] == f"server rejected WebSocket connection: HTTP 400{reported}"


@pytest.mark.parametrize(
    ("headers", "offers"),
    [
        ({}, False),
        ({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, True),
        ({"sec-websocket-extensions": "x-webkit-deflate-frame"}, False),
    ],
)
def test_a_header_that_offers_compression_makes_the_client_speak_it(headers: dict[str, str], offers: bool) -> None:
    endpoint = Endpoint(url="ws://127.0.0.1/", headers=headers)
    talk = Conversation(draining.Behaviour(draining.Options()), draining.Options(), endpoint, lambda *_, **__: None)
    assert ("permessage-deflate" in talk.request().headers.get("Sec-WebSocket-Extensions", "")) is offers
    assert bool(talk.protocol.available_extensions) is offers
