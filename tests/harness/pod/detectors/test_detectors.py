"""Each detector by itself: its rule's counter, the options that it sets, and a pod with it that frees the seat."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import get_args

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.liveness import ask
from halfopen.liveness.rule import Darkness
from halfopen.model.pod_api import PodApi
from halfopen.pod import detectors
from halfopen.pod.detectors import _keepalive, ack_stall, halfopen, outq, ping_timeout, ping_timeout_90
from halfopen.pod.detectors._seam import Detector, Guarded, Settings
from halfopen.pod.watchdog import Death, Probe, probe
from tests.harness.pod.pods import eventually, pod
from tests.harness.pod.test_watchdog import PATIENCE, connection, fill
from tests.harness.pod.test_wedge import FAST, WEDGED, client_that_never_reads, sends_with_the_lock_held, stack

SETTINGS = Settings(grace=30.0, poll=2.0)


@dataclass
class FakeSession:
    """A session without a pod."""

    sock: socket.socket
    id: str = "s1"
    acknowledged: int | None = None
    sent: int = 0
    deaths: list[Death] = field(default_factory=list)
    dead: threading.Event = field(default_factory=threading.Event)
    connection: object = None

    def ask(self) -> bool:
        return False

    def declare_dead(self, death: Death) -> None:
        self.deaths.append(death)
        self.dead.set()


def made(name: str, settings: Settings = SETTINGS) -> Detector:
    detector: Detector = plugins.load(detectors, name).create(settings)
    return detector


def test_there_are_ten_and_each_says_in_a_line_what_it_is() -> None:
    names = plugins.names(detectors)
    assert len(names) >= 10
    for name in names:
        about = plugins.load(detectors, name).__doc__
        assert about
        assert about.splitlines()[0].endswith(".")


def with_queue(outq: int) -> Probe:
    return Probe("ESTABLISHED", outq, 1)


@pytest.mark.parametrize(("before", "after", "stall"), [(10, 10, 4.0), (10, 11, 4.0), (10, 9, 0.0), (10, 0, 0.0)])
def test_the_first_version_counts_while_the_queue_is_no_shorter(before: int, after: int, stall: float) -> None:
    rule = outq.QueueRule(1.0)
    rule.stalled_for(with_queue(before), 1.0)
    assert rule.stalled_for(with_queue(after), 5.0) == stall


def test_the_first_version_takes_a_plateau_for_a_stall_although_bytes_flow() -> None:
    rule = outq.QueueRule(0.0)
    for now in range(1, 60):
        rule.stalled_for(Probe("ESTABLISHED", 1000, now * 1000), float(now))
    assert rule.stalled_for(Probe("ESTABLISHED", 1000, 60_000), 60.0) == 60.0


def test_the_superseded_reaper_counts_from_the_start_or_the_last_acknowledgement() -> None:
    with connection() as (server, _):
        session = FakeSession(server, sent=100)
        rule = ack_stall.AckRule(session, 0.0)
        assert rule.stalled_for(with_queue(0), 10.0) == 10.0
        session.acknowledged = 50
        assert rule.stalled_for(with_queue(0), 12.0) == 0.0
        assert rule.stalled_for(with_queue(0), 20.0) == 8.0
        session.acknowledged = 100
        assert rule.stalled_for(with_queue(0), 21.0) == 0.0
        assert rule.stalled_for(with_queue(0), 90.0) == 0.0, "nothing is due, so nothing is late"


def option(name: str, level: int, number: int, size: int = 4) -> bytes:
    """Return the value of an option of a session's socket once a detector guards it."""
    with connection() as (server, _), made(name).guard(FakeSession(server)):
        return server.getsockopt(level, number, size)


@pytest.mark.parametrize(
    ("name", "number", "value"),
    [
        ("tcp-user-timeout", socket.TCP_USER_TIMEOUT, 30_000),
        ("so-keepalive", socket.TCP_KEEPIDLE, 10),
        ("so-keepalive", socket.TCP_KEEPINTVL, 5),
        ("so-keepalive", socket.TCP_KEEPCNT, 3),
    ],
)
def test_what_is_left_to_the_kernel_is_set_in_parts_of_the_grace(name: str, number: int, value: int) -> None:
    assert struct.unpack("i", option(name, socket.IPPROTO_TCP, number)) == (value,)


def test_the_keepalive_is_on_and_a_send_gives_up_after_a_third_of_the_grace() -> None:
    assert struct.unpack("i", option("so-keepalive", socket.SOL_SOCKET, socket.SO_KEEPALIVE)) == (1,)
    assert struct.unpack("ll", option("so-sndtimeo", socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)) == (10, 0)


@pytest.mark.parametrize("grace", [0.001, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("name", ["tcp-user-timeout", "so-keepalive", "so-sndtimeo"])
def test_no_grace_is_too_short_for_the_kernel(name: str, grace: float) -> None:
    with connection() as (server, _), made(name, Settings(grace, 0.1)).guard(FakeSession(server)):
        assert server.gettimeout() is None, "the library's socket stays blocking"


@pytest.mark.skipif(not _keepalive.there_is_one(), reason="this version of websockets has no keepalive for threads")
def test_the_librarys_keepalive_has_its_own_times() -> None:
    assert ping_timeout.create(SETTINGS).serve_options() == {"ping_interval": 20, "ping_timeout": 20}
    assert ping_timeout_90.create(SETTINGS).serve_options() == {"ping_interval": 20, "ping_timeout": 90}
    assert halfopen.create(SETTINGS).serve_options() == {"ping_interval": None}


def test_a_library_without_a_keepalive_is_told_not_pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keepalive, "version", "14.2")
    with pytest.raises(InputError, match=r"websockets 14\.2 has no keepalive for threads"):
        ping_timeout.create(SETTINGS)


@pytest.mark.parametrize("reap", ["shutdown", "reset"])
@pytest.mark.parametrize("name", ["bytes-acked", "outq", "halfopen"])
def test_a_client_that_reads_nothing_is_ended_as_asked(name: str, reap: str) -> None:
    settings = Settings(0.6, 0.1, "reset" if reap == "reset" else "shutdown")
    with connection() as (server, _):
        session = FakeSession(server)
        checked: Guarded = session
        with made(name, settings).guard(checked):
            fill(server)
            assert session.dead.wait(PATIENCE)
        linger = struct.unpack("ii", server.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
    assert session.deaths[0].reason == "send_stall"
    assert linger == ((1, 0) if reap == "reset" else (0, 0))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bytes-acked", "send_stall"),
        ("outq", "send_stall"),
        ("ack-stall", "no_answer"),
        ("halfopen", "send_stall"),
        ("tcp-user-timeout", "socket_error"),
        ("so-sndtimeo", "timed_out"),
    ],
)
def test_a_pod_frees_the_seat_of_a_client_that_never_reads_and_says_why(name: str, reason: str) -> None:
    options = ("--detector", name, "--grace", "1s", "--poll", "200ms")
    with pod(*options, *FAST) as server, client_that_never_reads(server.port):
        assert server.log_line("session_closed")["reason"] == reason
        eventually(lambda: server.get("/sessions") == [])
        assert server.get("/pool") == {"lockHeld": False}
        eventually(lambda: not stack(server, "runner-") and not stack(server, "reader-"))


@pytest.mark.parametrize("name", ["none", "so-keepalive"])
def test_a_pod_without_a_watchdog_keeps_the_seat_of_a_client_that_never_reads(name: str) -> None:
    """The keepalive too: the kernel sends no keepalive probes while anything is queued."""
    with pod("--detector", name, "--grace", "1s", *WEDGED) as server, client_that_never_reads(server.port):
        eventually(lambda: sends_with_the_lock_held(server))
        # A whole grace in the same send. Meanwhile another client is refused the seat.
        began = server.session()["started"]
        eventually(lambda: server.get("/healthz") and _age(server.session()["started"]) > 3.0)
        assert server.session()["started"] == began
        assert sends_with_the_lock_held(server)


def _age(started: float) -> float:
    return time.monotonic() - started


def test_a_ping_does_not_block_behind_a_wedged_send() -> None:
    answers: list[bool] = []
    wedged, asked = threading.Event(), threading.Event()

    def handler(connection: ServerConnection) -> None:
        answers.append(ask(connection))
        sending = threading.Thread(target=_send_without_end, args=(connection,), daemon=True)
        sending.start()
        eventually(lambda: connection.protocol_mutex.locked() and _stuck(connection))
        wedged.set()
        answers.append(ask(connection))
        asked.set()

    with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        with client_that_never_reads(server.socket.getsockname()[1]):
            assert asked.wait(PATIENCE)
        server.shutdown()
        serving.join()
    assert answers == [True, False]


def _send_without_end(connection: ServerConnection) -> None:
    """Send a message larger than all buffers. Once part of it is queued, the lock is held for good."""
    with contextlib.suppress(ConnectionClosed):
        connection.send(bytes(1 << 24))


def _stuck(connection: ServerConnection) -> bool:
    return probe(connection.socket).outq > 100_000


@pytest.mark.parametrize("api", get_args(PodApi))
def test_a_common_outage_is_logged_as_an_event(api: PodApi, capsys: pytest.CaptureFixture[str]) -> None:
    """As the watcher reports it: seven of nine sessions went dark 50 s ago."""
    detector = halfopen.create(Settings(30.0, 2.0, api=api, common_outage=120.0))
    darkness = Darkness(950.0, 951.0, 998.0)
    sessions = [darkness] * 7 + [None] * 2
    outage = detector._watcher.common_outage
    outage._sessions = lambda: sessions
    assert outage.spares(darkness, 1000.0)
    sessions[:7] = [None] * 7
    outage.review(1002.0)
    held, over = map(json.loads, capsys.readouterr().out.splitlines())
    assert (held["event"], over["event"]) == ("common_outage_held", "common_outage_over")
    assert (held["dark"], held["watched"], held["common_outage_s"]) == (7, 9, 120.0)
    assert over["dark"] == 0


def test_a_live_client_answers_the_ping_and_stays() -> None:
    options = ("--detector", "halfopen", "--grace", "1s", "--poll", "100ms", "--slice-interval", "10s")
    with pod(*options) as server, connect(server.url("live")) as live:
        live.recv()
        eventually(lambda: _age(server.session()["started"]) > 4.0)
        assert server.session()["client"] == "live"
