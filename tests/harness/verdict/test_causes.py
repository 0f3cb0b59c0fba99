"""Each rule names a cause where its evidence fits, and says nothing where a part of it is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from halfopen.model.profile import Profile
from halfopen.model.timeline import Event, Sample
from halfopen.scenario import suites
from halfopen.verdict import causes
from halfopen.verdict.causes import RULES
from halfopen.verdict.findings import find
from tests.harness.lines import Part, event, flowing, line, orphaned, sample, stuck, times

TRACEBACK = ("Traceback (most recent call last):", '  File "app.py", line 3, in handler')
KEEPALIVE = {"keepalive_idle": 30.0, "keepalive_interval": 5.0, "keepalive_count": 4}
PINGING = Profile(observed=120, messages=0, rate=0, largest=0, longest_pause=120, pings=5, pings_every=20.0)
SILENT = Profile(observed=120, messages=0, rate=0, largest=0, longest_pause=120)


def cause(*parts: Part, profile: Profile | None = None, name: str = "alive/active") -> str | None:
    (scenario,) = suites.find([name])
    timeline = line(*parts)
    return causes.cause(timeline, find(timeline, scenario), profile)


def quiet(end: float, sends: Iterable[tuple[float, int]] = (), heard: float = 0.0) -> list[Sample]:
    """Return samples of a silent session until ``end``; ``sends`` are moments and sizes of what the server sends."""
    samples = []
    for t in times(0, end):
        sent = [(at, size) for at, size in sends if at <= t]
        samples.append(
            sample(
                t,
                bytes_acked=1 + sum(size for _, size in sent),
                last_data_sent=round((t - (sent[-1][0] if sent else 0.0)) * 1000),
                last_data_recv=round(max(0.0, t - heard) * 1000),
                last_ack_recv=round((t - (sent[-1][0] if sent else 0.0)) * 1000),
            )
        )
    return samples


def heard(samples: list[Sample], at: float) -> list[Sample]:
    """Return the samples of a client that was last heard at this moment."""
    return [msgspec.structs.replace(s, last_data_recv=round(max(0.0, s.t - at) * 1000)) for s in samples]


def fin(t: float) -> list[Sample]:
    return [sample(t, state="FIN_WAIT1"), sample(t + 0.5, state="FIN_WAIT2")]


def reset(t: float) -> Event:
    return event(t, "kernel", "destroyed", state="CLOSE", outq=0)


def closed(t: float, code: int, reason: str = "") -> Event:
    return event(t, "client", "close_received", code=code, reason=reason)


def said(t: float, *lines: str) -> list[Event]:
    return [event(t + n / 1000, "target", "output", text=text) for n, text in enumerate(lines)]


def limits(**fields: Any) -> Event:
    known = {**dict.fromkeys(KEEPALIVE), "user_timeout": None, "send_timeout": None, **fields}
    return event(1.0, "target", "timeouts", **known)


def opened(**data: Any) -> Event:
    return event(0.0, "client", "opened", **{"acknowledging": False, "sends": False, **data})


def received(t: float, count: int = 1000) -> Event:
    return event(t, "client", "progress", read=count, received=count, acknowledged=0)


def test_a_held_session_has_no_cause() -> None:
    assert cause(quiet(60)) is None
    assert cause(flowing(0, 60), stuck(60, 90)) is None


# The process.


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (1, "ended with exit code 1"),
        (-11, "was killed by SIGSEGV"),
        (139, "was killed by SIGSEGV"),
        (-9, "was killed by SIGKILL (by the kernel, for want of memory?)"),
    ],
)
def test_a_process_that_ended_is_the_cause(code: int, how: str) -> None:
    exited = event(20.1, "target", "exited", code=code, said="")
    assert cause(flowing(0, 20), reset(20), exited) == f"the server's process {how}"


def test_the_exception_that_ended_a_process_is_named() -> None:
    exited = event(20.1, "target", "exited", code=1, said="")
    shown = cause(flowing(0, 20), said(20, *TRACEBACK, "MemoryError: cuda"), reset(20), exited)
    assert shown == "the server's process ended with exit code 1 after MemoryError: cuda"
    node = said(
        20, "/app/server.js:7", "TypeError: x is not a function", "    at Server.<anonymous>", "Node.js v18.19.0"
    )
    assert str(cause(flowing(0, 20), node, reset(20), exited)).endswith("after TypeError: x is not a function")


def test_a_process_that_ended_long_after_the_session_is_not_the_cause() -> None:
    assert cause(flowing(0, 20), fin(20), event(25, "target", "exited", code=1, said="")) is None


# A proxy.


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "2026/11/30 21:42:53 [error] 56#56: *1 upstream timed out (110: timed out) while proxying upgraded",
            "nginx ended the session: the server behind it had sent nothing for 60s, its proxy_read_timeout",
        ),
        (
            "2026/11/30 21:42:53 [info] 56#56: *1 client timed out (110: Connection timed out) while proxying upgraded",
            "nginx ended the session: the client took in nothing (its send_timeout)",
        ),
        (
            "2026/11/30 21:42:53 [error] 56#56: *1 upstream prematurely closed connection while reading",
            "the server behind nginx ended the connection (nginx said: 'upstream prematurely closed connection')",
        ),
        (
            "10.0.0.1:5000 [30/Nov/2026:21:42:53.123] edge server/one 0/0/60001 2345 cD 1/1/0/0/0 0/0",
            "haproxy ended the session: nothing came for 60s, its timeout tunnel",
        ),
        (
            "10.0.0.1:5000 [30/Nov/2026:21:42:53.123] edge server/one 0/0/60001 2345 SD 1/1/0/0/0 0/0",
            "the server behind haproxy ended the connection (haproxy said: 'termination SD')",
        ),
    ],
)
def test_a_proxy_that_says_so_ended_it(log: str, says: str) -> None:
    assert cause(quiet(60), said(60, log), fin(60), profile=SILENT) == says
    assert cause(quiet(60), said(50, log), fin(60), profile=SILENT) is None, "it said so of another session"


def test_a_server_behind_a_proxy_that_says_why_itself_is_believed() -> None:
    log = "2026/11/30 21:42:53 [error] 56#56: *1 upstream prematurely closed connection while reading"
    raised = said(60, log, *TRACEBACK, "ValueError: no room")
    assert cause(quiet(60), raised, fin(60)) == "the server raised ValueError: no room"


def test_a_proxy_that_says_something_else_did_not_end_it() -> None:
    log = "2026/11/30 21:42:53 [notice] 56#56: signal process started"
    assert cause(quiet(61.7), said(61.7, log), fin(61.7)) is None


# The close frame.


@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        (1010, "", "compression = true"),
        (1009, "", "larger than the server takes"),
        (1003, "", "rejected what the client sent"),
        (1008, "", "wants a token"),
        (4401, "", "wants a token"),
        (1000, "authentication required", "wants a token"),
    ],
)
def test_the_code_says_what_the_server_lacks(code: int, reason: str, says: str) -> None:
    assert says in str(cause(quiet(20), closed(20, code, reason), fin(20)))


@pytest.mark.parametrize("code", [1000, 1001, 1008, 4000])
def test_a_code_after_a_stream_says_nothing_of_a_token(code: int) -> None:
    assert cause(flowing(0, 21.7), received(5), closed(21.7, code), fin(21.7)) is None


def test_a_code_for_the_unauthorized_says_so_even_after_a_greeting() -> None:
    greeted = (flowing(0, 21.7), received(5), closed(21.7, 4401), fin(21.7))
    assert "wants a token or a first message" in str(cause(opened(), *greeted))
    assert "wants another token" in str(cause(opened(sends=True), *greeted))


def test_a_token_that_expires_after_a_stream_is_no_token_that_is_missing() -> None:
    streamed = (opened(), flowing(0, 40), [received(t, t * 1000) for t in range(1, 40)])
    shown = cause(*streamed, closed(40, 4401, "token expired"), fin(40))
    assert shown == "the server withdrew the session (4401 'token expired')"


def test_a_subprotocol_that_the_server_wants_is_named() -> None:
    shown = cause(opened(), quiet(1), closed(1, 4406, "Subprotocol not acceptable"), fin(1))
    assert str(shown).startswith("likely the server wants a subprotocol (--subprotocol)")


# An exception.


def test_an_exception_at_the_end_is_the_cause() -> None:
    raised = said(20, *TRACEBACK, "ValueError: no room")
    assert (
        cause(flowing(0, 20), received(5), closed(20, 1011), raised, fin(20)) == "the server raised ValueError: no room"
    )
    refused = said(20, *TRACEBACK, "ConnectionRefusedError: [Errno 111] redis")
    assert str(cause(flowing(0, 20), received(5), fin(20), refused)).endswith("[Errno 111] redis")


@pytest.mark.parametrize(
    "effect",
    [
        "websockets.exceptions.ConnectionClosedError: no close frame received or sent",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "BrokenPipeError: [Errno 32] Broken pipe",
        "Error: read ECONNRESET",
        "starlette.websockets.WebSocketDisconnect: (1006, '')",
        "tornado.websocket.WebSocketClosedError",
        "RuntimeError: Unexpected ASGI message 'websocket.send', after sending 'websocket.close'",
        "aiohttp.ClientConnectionResetError: Cannot write to closing transport",
    ],
)
def test_an_exception_that_reports_the_end_is_not_its_cause(effect: str) -> None:
    assert cause(flowing(0, 21.7), received(5), said(21.7, *TRACEBACK, effect), fin(21.7)) is None


def test_an_exception_long_before_the_end_is_not_its_cause() -> None:
    assert cause(flowing(0, 21.7), received(5), said(11, *TRACEBACK, "KeyError: 'a'"), fin(21.7)) is None


def test_code_1011_without_a_traceback_is_likely_an_exception() -> None:
    assert str(cause(flowing(0, 21.7), received(5), closed(21.7, 1011), fin(21.7))).startswith("likely an exception")


def test_an_exception_that_recurs_is_not_the_cause() -> None:
    job = [said(t, *TRACEBACK, f"KeyError: 'metrics' in job {t}") for t in (10, 15, 21)]
    streamed = (flowing(0, 21.7), received(5), fin(21.7))
    assert cause(*streamed, *job) is None
    assert cause(*streamed, *job, said(21.5, *TRACEBACK, "ValueError: seat")) == "the server raised ValueError: seat"


def test_an_exception_beside_another_close_code_is_only_likely() -> None:
    raised = said(21.7, *TRACEBACK, "KeyError: 'metrics'")
    shown = cause(flowing(0, 21.7), received(5), closed(21.7, 4409, "logged in elsewhere"), raised, fin(21.7))
    assert shown == "likely an exception in the server: KeyError: 'metrics'"


# The kernel.


def test_a_keepalive_that_is_set_and_fits_ended_it() -> None:
    shown = cause(quiet(50), limits(**KEEPALIVE), reset(50))
    assert shown is not None
    assert "ETIMEDOUT" in shown
    assert "TCP_KEEPIDLE 30s, 4 probes every 5s" in shown


def test_a_keepalive_is_not_the_cause_unless_all_fits() -> None:
    set_ = limits(**KEEPALIVE)
    for parts in (
        (quiet(50), limits(), reset(50)),  # it is not set
        (quiet(45.7), set_, reset(45.7)),  # too early
        (quiet(50), set_, fin(50)),  # a FIN is the application's
        (quiet(50), set_, closed(50, 1000), reset(50)),  # so is a close frame
        (heard(flowing(0, 50, outq=500), 0), set_, reset(50)),  # no keepalive while bytes are queued
    ):
        assert "SO_KEEPALIVE" not in str(cause(*parts, profile=SILENT))


def test_a_user_timeout_that_is_set_and_fits_ended_it() -> None:
    shown = cause(flowing(0, 20), stuck(20, 40.2), limits(user_timeout=20.0), reset(40.2))
    assert shown == (
        "the server's kernel gave up (ETIMEDOUT): nothing was acknowledged for 20.2s, and TCP_USER_TIMEOUT is 20s"
    )


def test_a_user_timeout_is_not_the_cause_unless_all_fits() -> None:
    set_ = limits(user_timeout=20.0)
    for parts in (
        (flowing(0, 20), stuck(20, 40.2), limits(), reset(40.2)),  # it is not set
        (flowing(0, 20), stuck(20, 33), set_, reset(33)),  # too early
        (flowing(0, 20), stuck(20, 40.2), set_, orphaned(40.2, 42)),  # a FIN is the application's
        (flowing(0, 40.2), set_, reset(40.2)),  # nothing stalls
    ):
        assert "TCP_USER_TIMEOUT" not in str(cause(*parts))


def test_retransmissions_ended_it_if_the_server_says_so() -> None:
    log = said(40, "OSError: [Errno 110] Connection timed out")
    dark = stuck(20, 40, backoff=8)
    assert "tcp_retries2" in str(cause(flowing(0, 20), dark, limits(), log, reset(40)))
    assert "tcp_retries2" not in str(cause(flowing(0, 20), dark, limits(), reset(40)))
    assert "tcp_retries2" not in str(cause(flowing(0, 20), stuck(20, 40), limits(), log, reset(40)))


def test_a_send_timeout_that_is_set_and_fits_is_likely() -> None:
    set_ = limits(send_timeout=7.0)
    assert "SO_SNDTIMEO" in str(cause(flowing(0, 20), stuck(20, 27), set_, orphaned(27, 30)))
    assert "SO_SNDTIMEO" not in str(cause(flowing(0, 20), stuck(20, 24), set_, orphaned(24, 27)))
    assert "SO_SNDTIMEO" not in str(cause(flowing(0, 20), stuck(20, 27), limits(), orphaned(27, 30)))


# The client.


def test_a_server_that_follows_its_client_answered_it() -> None:
    closing = event(20.0, "client", "closing", code=1000)
    assert cause(flowing(0, 21.5), closing, fin(21.5)) == "the server answered the client's close frame, 1.5s after it"
    half = event(20.0, "client", "half_closed")
    assert cause(flowing(0, 21.5), half, fin(21.5)) == "the server answered the client's FIN, 1.5s after it"
    passive = stuck(20, 21.5, state="CLOSE_WAIT", outq=0)
    shown = cause(flowing(0, 20), passive, [sample(21.5, state="LAST_ACK")])
    assert shown == "the server answered the FIN of the client's kernel, 1.5s after it"


def test_a_server_that_ends_first_answered_nothing() -> None:
    assert cause(flowing(0, 21.7), event(22.5, "client", "closing", code=1000), fin(21.7)) is None


# Pings.


def test_a_pong_that_is_missed_fits_the_interval_and_the_timeout() -> None:
    shown = cause(quiet(40, [(20, 6)]), fin(40), profile=PINGING)
    assert shown == (
        "likely missed pongs: 40s after the handshake, without a reset: typical of websockets' ping_timeout "
        "(20s after a ping, and a ping every 20s)"
    )
    ponged = heard(flowing(0, 60), 20)
    pings = event(20, "client", "ping_received")
    shown = cause(ponged, pings, fin(60), profile=PINGING)
    assert shown is not None
    assert "40s after the last pong, without a reset" in shown


def test_pings_are_known_without_a_profile_if_nothing_else_was_sent() -> None:
    assert "ping_timeout" in str(cause(quiet(50, [(20, 6), (40, 30)]), fin(50)))
    assert "ping" not in str(cause(quiet(50, [(20, 6000), (40, 30)]), fin(50)))


@pytest.mark.parametrize(
    ("every", "end", "says"),
    [(10.0, 15.0, "as aiohttp's"), (15.0, 30.0, "as in Node's ws"), (25.0, 35.0, "a ping timeout of 10s")],
)
def test_other_heartbeats_are_told_by_their_times(every: float, end: float, says: str) -> None:
    profile = msgspec.structs.replace(PINGING, pings_every=every)
    assert says in str(cause(heard(flowing(0, end), 0), received(1), fin(end), profile=profile))


def test_pings_are_not_the_cause_unless_the_times_fit() -> None:
    streaming = heard(flowing(0, 33.3), 0)
    assert cause(streaming, received(1), fin(33.3), profile=PINGING) is None
    assert cause(heard(flowing(0, 40), 0), received(1), fin(40), profile=SILENT) is None


def test_a_reason_that_names_pings_is_believed() -> None:
    timed_out = closed(40, 1011, "keepalive ping timeout")
    assert str(cause(quiet(40, [(20, 6)]), timed_out, fin(40))).startswith("the server missed a pong")


def test_a_close_frame_is_no_ping() -> None:
    in_the_dark = quiet(20, [(5, 16)])
    assert "pong" in str(cause(in_the_dark, fin(20)))
    assert "pong" not in str(cause(in_the_dark, fin(20), profile=SILENT)), "it never pings"
    shown = str(cause(quiet(15, [(10, 30)]), closed(15, 1000, "ping timeout"), fin(15)))
    assert "typical" not in shown, "the only send is the close frame"


def test_a_missed_pong_is_doubted_if_there_was_no_ping_to_answer() -> None:
    blocked = [msgspec.structs.replace(s, last_data_recv=round(s.t % 5 * 1000)) for s in flowing(0, 30)]
    idle = [
        sample(t, bytes_acked=blocked[-1].bytes_acked, last_data_recv=round((t - 30) * 1000)) for t in times(30, 42)
    ]
    pings = [event(t, "client", "ping_received") for t in range(5, 31, 5)]
    timed_out = (received(29), closed(42, 1011, "ping timeout"))
    doubted = str(cause(blocked, idle, pings, *timed_out))
    assert doubted.startswith("likely the server itself was busy")
    pinged = [msgspec.structs.replace(s, bytes_acked=(s.bytes_acked or 0) + 6) if s.t > 35 else s for s in idle]
    assert "was busy" not in str(cause(blocked, pinged, pings, *timed_out)), "it sent a ping"


# Deadlines.


def test_a_write_deadline_is_likely_after_a_usual_time() -> None:
    shown = cause(flowing(0, 20), stuck(20, 30), orphaned(30, 33))
    assert shown is not None
    assert "likely a write deadline, or a watchdog, of 10s" in shown


@pytest.mark.parametrize("waited", [2.0, 8.3, 9.6, 13.0])
def test_a_write_deadline_is_not_claimed_after_an_odd_time(waited: float) -> None:
    assert cause(flowing(0, 20), stuck(20, 20 + waited), orphaned(20 + waited, 40)) is None


def test_a_write_deadline_is_not_claimed_for_a_small_frame_that_waits() -> None:
    assert cause(flowing(0, 20), stuck(20, 30, outq=16, snd_wnd=65536), orphaned(30, 33)) is None


def test_a_write_deadline_is_not_claimed_if_the_server_says_why() -> None:
    reaped = event(30, "target", "dead_client_reaped", reason="send_stall", backlog_bytes=1)
    assert cause(flowing(0, 20), stuck(20, 30), orphaned(30, 33), reaped) is None


def test_an_idle_timeout_is_likely_after_a_usual_time() -> None:
    shown = cause(quiet(60), fin(60))
    assert shown is not None
    assert shown.startswith("60s after the last data either way: likely an idle timeout of 60s")
    assert "proxy_read_timeout" in shown
    assert cause(quiet(61.7), fin(61.7)) is None, "an odd time"


def test_an_idle_timeout_is_not_claimed_of_a_server_that_once_waited_longer() -> None:
    assert cause(quiet(60), fin(60), profile=SILENT) is None


def test_an_idle_timeout_is_not_claimed_if_a_reason_says_otherwise() -> None:
    assert cause(quiet(60), closed(60, 1001, "restart"), fin(60)) is None
    assert "idle timeout" in str(cause(quiet(60), closed(60, 1000, "idle for too long"), fin(60)))


def beating(end: float, every: float) -> list[Sample]:
    """Return the samples of a stream whose client is heard at each ping."""
    return [msgspec.structs.replace(s, last_data_recv=round(s.t % every * 1000)) for s in flowing(0, end)]


def test_an_idle_timeout_is_not_claimed_if_the_session_outlived_a_longer_silence() -> None:
    once = [msgspec.structs.replace(s, last_data_recv=round((s.t if s.t < 20 else s.t - 20) * 1000)) for s in quiet(30)]
    assert cause(once, fin(30)) is None
    assert "idle timeout of 30s" in str(cause(heard(once, 0), fin(30)))


def test_an_idle_timeout_is_not_claimed_at_a_beat_of_pings() -> None:
    pings = [event(t, "client", "ping_received") for t in (10.0, 20.0)]
    assert cause(beating(30, 10), received(5), pings, reset(30)) is None
    rarely = msgspec.structs.replace(PINGING, pings_every=10.0, pings=1)
    assert cause(heard(flowing(0, 20), 10), received(5), reset(20), profile=rarely) is None
    assert "idle timeout of 10s" in str(cause(heard(flowing(0, 20), 10), received(5), reset(20)))


# The beginning.


def test_a_session_that_ends_before_anybody_spoke_wants_speech() -> None:
    shown = cause(opened(), quiet(3), fin(3))
    assert shown is not None
    assert shown.startswith("3s after the handshake, and the client had said nothing: likely the server wants a token")


def test_it_does_not_want_speech_if_somebody_spoke() -> None:
    assert cause(opened(), quiet(3), received(2), fin(3)) is None, "the server"
    assert cause(opened(sends=True), quiet(3), fin(3)) is None, "the client"
    assert "token" not in str(cause(opened(), quiet(23), fin(23))), "much later"


def test_every_rule_is_documented() -> None:
    assert all(rule.__doc__ for rule in RULES)
