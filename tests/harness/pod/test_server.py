"""The pod over real sockets: seats, the registry, flow control, its answers and its log."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from halfopen.pod.stream import WINDOW
from halfopen.targets import tls
from tests.harness.pod import pods
from tests.harness.pod.pods import PodProcess, eventually
from tests.harness.pod.test_wedge import WEDGED, client_that_never_reads, stack

MakePod = Callable[..., AbstractContextManager[PodProcess]]


@pytest.fixture(params=["sync", "asyncio"])
def pod(request: pytest.FixtureRequest) -> MakePod:
    """Return what starts a pod: the incident's, and its twin, which does the same in all of these tests."""
    return partial(pods.pod, "--pod-api", request.param)


def test_it_streams_slices_of_the_size_asked_for(pod: MakePod) -> None:
    with pod("--slice-size", "1000B", "--slice-interval", "10ms") as server, connect(server.url()) as client:
        assert [len(client.recv()) for _ in range(3)] == [1000, 1000, 1000]


def test_a_session_is_listed_for_as_long_as_it_lasts_and_holds_the_seat(pod: MakePod) -> None:
    with pod() as server:
        assert server.get("/sessions") == []
        assert server.get("/pool") == {"lockHeld": False}
        with connect(server.url("alice")) as client:
            client.recv()
            # Bytes are counted after they are sent, so perhaps after they have arrived.
            eventually(lambda: server.session()["bytes"] > 0)
            session = server.session()
            assert session["client"] == "alice"
            assert session["drops"] == {}
            assert {"id", "started"} <= set(session)
            assert server.get("/pool") == {"lockHeld": True}
        eventually(lambda: server.get("/sessions") == [])
        assert server.get("/pool") == {"lockHeld": False}


def test_a_client_without_a_seat_is_told_to_try_again_later(pod: MakePod) -> None:
    with pod() as server, connect(server.url("first")) as first:
        first.recv()
        with connect(server.url("second")) as second, pytest.raises(ConnectionClosed) as caught:
            second.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1013, "no seat is free, try again later")
        assert [session["client"] for session in server.get("/sessions")] == ["first"]


def test_more_seats_serve_more_clients_at_once(pod: MakePod) -> None:
    with pod("--seats", "2") as server, connect(server.url("a")) as a, connect(server.url("b")) as b:
        # A seat is taken after the handshake, and before anything is sent.
        a.recv()
        b.recv()
        assert server.get("/pool") == {"lockHeld": True}
        assert {session["client"] for session in server.get("/sessions")} == {"a", "b"}


def test_slices_are_shed_once_the_window_is_full_and_the_client_counts(pod: MakePod) -> None:
    with pod("--slice-size", "64KiB", "--slice-interval", "5ms") as server, connect(server.url()) as client:
        client.send(json.dumps({"type": "params", "slice_bytes_rx": 0}))
        eventually(lambda: server.session()["drops"].get("window"))
        # From here on nothing is sent until more is acknowledged, however much was sent before the client began to
        # count.
        before = server.session()["bytes"]
        assert before > WINDOW
        eventually(lambda: server.log_line("slices_dropped")["drops"].get("window"))
        client.send(json.dumps({"type": "params", "slice_bytes_rx": before}))
        eventually(lambda: server.session()["bytes"] > before + WINDOW)
        # The last slice is sent while the window is not yet exceeded.
        assert server.session()["bytes"] <= before + WINDOW + 64 * 1024


@pytest.mark.parametrize("message", ["not json", "[]", "7", '{"type": "params"}', '{"slice_bytes_rx": 1}', b"\x00\xff"])
def test_what_it_does_not_understand_it_passes_over(pod: MakePod, message: str | bytes) -> None:
    with pod() as server, connect(server.url()) as client:
        client.send(message)
        client.send(json.dumps({"type": "params", "slice_bytes_rx": 5}))
        eventually(lambda: server.session()["acknowledged"] == 5)


def test_a_close_by_the_client_is_logged_as_such(pod: MakePod) -> None:
    with pod() as server:
        with connect(server.url("bob")) as client:
            client.recv()
        assert server.log_line("session_opened")["client"] == "bob"
        closed = server.log_line("session_closed")
        assert (closed["client"], closed["reason"]) == ("bob", "client_closed")
        assert closed["bytes"] > 0


def test_a_session_goes_on_while_all_is_quiet(pod: MakePod) -> None:
    with pod("--quiet-after", "1ms") as server, connect(server.url()) as client:
        client.recv()
        client.send(json.dumps({"type": "params", "slice_bytes_rx": 5}))
        eventually(lambda: server.session()["acknowledged"] == 5)
        assert eventually(lambda: server.session()["bytes"]) == 32 * 1024


def test_a_client_that_preempts_takes_the_seat_and_the_first_is_told(pod: MakePod) -> None:
    with pod() as server, connect(server.url("first")) as first:
        first.recv()
        with connect(server.url("second") + "&preempt=1") as second:
            second.recv()
            with pytest.raises(ConnectionClosed):
                list(first)
            assert (first.protocol.close_code, first.protocol.close_reason) == (4001, "preempted")
            assert [session["client"] for session in server.get("/sessions")] == ["second"]
        assert server.log_line("session_closed")["reason"] == "preempted"


def test_a_client_that_preempts_takes_the_seat_of_one_that_is_stuck(pod: MakePod) -> None:
    with pod("--detector", "none", *WEDGED) as server, client_that_never_reads(server.port):
        server.session()
        # More than any buffer takes. The close frame would have to wait for it.
        with connect(server.url("second") + "&preempt=1", max_size=None) as second:
            second.recv()
            assert [session["client"] for session in server.get("/sessions")] == ["second"]
            closed = server.log_line("session_closed")
            assert (closed["client"], closed["reason"]) == ("frozen", "preempted")
            eventually(lambda: not stack(server, "runner-s1") and not stack(server, "reader-s1"))


def test_without_preemption_the_stuck_one_keeps_its_seat(pod: MakePod) -> None:
    with pod("--detector", "none", *WEDGED) as server, client_that_never_reads(server.port):
        server.session()
        with connect(server.url("frozen")) as second, pytest.raises(ConnectionClosed):
            second.recv()
        assert second.protocol.close_code == 1013
        assert [session["client"] for session in server.get("/sessions")] == ["frozen"]


def test_a_client_that_preempts_takes_its_own_seat_though_others_are_free(pod: MakePod) -> None:
    with pod("--seats", "4") as server, connect(server.url("other")) as other, connect(server.url("me")) as old:
        other.recv()
        old.recv()
        with connect(server.url("me") + "&preempt=1") as new:
            new.recv()
            other.recv()
            assert sorted(session["client"] for session in server.get("/sessions")) == ["me", "other"]
            with pytest.raises(ConnectionClosed):
                list(old)
            assert old.protocol.close_code == 4001


def test_a_free_seat_is_nobodys_to_give_up(pod: MakePod) -> None:
    with pod("--seats", "2") as server, connect(server.url("first")) as first:
        first.recv()
        with connect(server.url("second") + "&preempt=1") as second:
            second.recv()
            first.recv()
            assert len(server.get("/sessions")) == 2


def test_it_speaks_tls_with_the_certificate_it_is_given(pod: MakePod) -> None:
    with tls.certified("127.0.0.1") as made:
        trusting = ssl.create_default_context(cafile=made.authority)
        options = ("--tls-cert", str(made.chain), "--tls-key", str(made.key), "--slice-size", "1000B")
        with pod(*options) as server, connect(server.url().replace("ws:", "wss:"), ssl=trusting) as client:
            assert len(client.recv()) == 1000


def test_a_session_at_its_limit_is_closed_by_the_pod(pod: MakePod) -> None:
    with pod("--session-limit", "300ms", "--quiet-after", "1ms") as server, connect(server.url()) as client:
        # After the only slice, or before it: the limit counts from the session's start.
        assert len(list(client)) <= 1
        assert (client.protocol.close_code, client.protocol.close_reason) == (1000, "the session is over")
        assert server.log_line("session_closed")["reason"] == "session_limit"
        eventually(lambda: server.get("/sessions") == [])


def test_it_is_always_healthy(pod: MakePod) -> None:
    with pod() as server:
        assert server.get("/healthz") == {"status": "healthy"}


@pytest.mark.parametrize("api", ["sync", "asyncio"])
def test_a_port_in_use_is_one_clear_line_and_exit_code_2(api: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "halfopen.pod", "--pod-api", api, "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: address already in use; choose another --port\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--detector", "bytes-aked"], "unknown detector 'bytes-aked'; did you mean 'bytes-acked'?"),
        (["--grace", "30"], "a duration needs a unit: got '30'"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key go together; give both, or neither"),
        (["--tls-cert", "x.pem", "--tls-key", "y.pem"], "no certificate and key in 'x.pem' and 'y.pem': no such file"),
        (["--detector", "so-sndtimeo", "--pod-api", "asyncio"], "and no send of an event loop does; choose another"),
        (["--detector", "no.such"], "cannot import detector 'no.such'"),
    ],
)
def test_bad_options_are_told_in_a_line(options: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-m", "halfopen.pod", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_its_status_is_all_of_it_in_one_answer(pod: MakePod) -> None:
    with pod() as server, connect(server.url("a")) as client:
        client.recv()
        said = server.get("/status")
        assert ([one["client"] for one in said["sessions"]], said["lockHeld"], said["status"]) == (
            ["a"],
            True,
            "healthy",
        )
        assert {"runner-s1", "reader-s1"} <= set(said["threads"])
