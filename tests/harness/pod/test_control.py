"""Orders to a pod on its standard input."""

from __future__ import annotations

import contextlib

from websockets.sync.client import connect

from tests.harness.pod.pods import pod

_INTERVAL = 0.005
#: Long enough for many slices to be due, so none comes only if nothing is sent.
_SILENCE = 100 * _INTERVAL
_OPTIONS = ("--control", "--slice-size", "100B", "--slice-interval", f"{_INTERVAL}s")


def test_while_the_lock_is_held_nothing_is_sent_and_then_all_goes_on() -> None:
    # Do not wait for it at the end: unread data hides the server's answer to its close frame.
    with pod(*_OPTIONS) as server, connect(server.url(), close_timeout=_INTERVAL) as client:
        client.recv()
        server.say("hold-gil")
        held = server.log_line("gil_held")
        with contextlib.suppress(TimeoutError):
            while client.recv(timeout=_SILENCE):
                pass
        server.say("")
        released = server.log_line("gil_released")
        assert released["t"] - held["t"] >= _SILENCE
        assert client.recv()


def test_an_order_it_does_not_know_is_said_to_be_one_and_the_next_is_obeyed() -> None:
    with pod(*_OPTIONS) as server:
        server.say("hold-gill")
        assert server.log_line("unknown_order")["word"] == "hold-gill"
        server.say("hold-gil")
        server.log_line("gil_held")
        server.say("")
        server.log_line("gil_released")


def test_the_end_of_the_orders_lets_go_of_the_lock_and_ends_nothing() -> None:
    with pod(*_OPTIONS) as server:
        server.say("hold-gil")
        server.log_line("gil_held")
        assert server.popen.stdin is not None
        server.popen.stdin.close()
        server.log_line("gil_released")
        assert server.get("/sessions") == []


def test_without_being_told_to_it_reads_no_orders() -> None:
    with pod() as server, connect(server.url()) as client:
        server.say("hold-gil")
        assert client.recv()
        client.close()
        # All its lines so far: it obeyed nothing.
        assert server.log_line("session_opened")
        assert server.popen.stdout is not None
        assert '"session_closed"' in server.popen.stdout.readline()
