"""Sentences about the watchdog, the server's own list, the remains of a session, and its very end."""

from __future__ import annotations

import pytest

from halfopen.model.timeline import Event
from halfopen.repro import words
from halfopen.repro.account import account
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing
from tests.harness.lines import event, flowing, line, orphaned, sample, stuck
from tests.harness.repro.looks import HELD, VERDICT, look
from tests.harness.repro.test_wedge import BEGUN, scenario

TERMS = Timing(30, 2)
DROPPED = event(40, "target", "verdict_dropped")
RELEASED = event(41, "target", "watchdog_released")
AGAIN = event(42, "target", "watchdog_held")
REAPED = event(43, "target", "dead_client_reaped", reason="send_stall", backlog_bytes=9, stall_s=38.0)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "bytes-acked, grace 30s"),
        ([HELD], "held: bytes-acked, grace 30s, has no verdict yet; w lets go"),
        ([HELD, VERDICT], "held: bytes-acked would have reaped 15s ago (send_stall); w lets go"),
        ([HELD, VERDICT, DROPPED], "held: bytes-acked's verdict no longer holds since 40.0s; w lets go"),
        ([HELD, VERDICT, RELEASED], "bytes-acked goes on since 41.0s (grace 30s)"),
        ([HELD, DROPPED, RELEASED, AGAIN], "held: bytes-acked's verdict no longer holds since 40.0s; w lets go"),
        ([HELD, VERDICT, RELEASED, REAPED], "bytes-acked reaped the client at 43.0s (send_stall)"),
    ],
)
def test_the_watchdog_is_told_of(events: list[Event], said: str) -> None:
    assert words.watchdog(line(*events), "bytes-acked", TERMS, 50.0, None) == said


def test_what_cannot_be_held_is_said_to_go_on() -> None:
    refused = line(event(0, "target", "watchdog_cannot_be_held"))
    assert words.watchdog(refused, "tcp-user-timeout", TERMS, 9, None) == (
        "tcp-user-timeout is none of the pod's own threads: it cannot be held, and goes on"
    )
    assert words.watchdog(refused, "none", TERMS, 9, None) == "the pod has none"
    assert words.watchdog(line(), None, TERMS, 9, None) == "the server's own goes on; only the pod's can be held"


def test_the_servers_books_are_what_it_says_and_nothing_where_it_says_nothing() -> None:
    assert words.books({}, 3.0) == ""
    assert words.books({"problem": "it could not be asked"}, 3.0) == "asked at 3.0s: it could not be asked"
    assert words.books({"listed": False, "lock_held": False}, 3.0) == "asked at 3.0s: session not listed, seat free"


def test_what_is_left_of_a_session_is_told_with_whose_it_is() -> None:
    orphan = orphaned(8, 9)[-1]
    assert words.over(orphan, 8.0, None) == (
        "over at 8.0s; the kernel keeps 1 kB queued in FIN_WAIT1, held by no process"
    )
    for gone, at in ((sample(9, state="CLOSE"), None), (sample(9), 9.0), (None, None)):
        assert words.over(gone, 8.0, at) == "over at 8.0s; nothing is left of it in the kernel"
    # The destroyed socket has left a smaller one behind.
    assert words.over(sample(9, state="TIME_WAIT"), 8.0, 8.5).endswith("keeps it in TIME_WAIT, with nothing queued")


def test_a_watchdog_that_is_held_has_nothing_to_look_at_once_it_is_over() -> None:
    assert words.watchdog(line(HELD, VERDICT), "bytes-acked", TERMS, 50.0, 45.0) == (
        "held: bytes-acked; there is nothing left for it to look at"
    )


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (VERDICT, "the watchdog would reap now (send_stall for 30.0s), but is held"),
        (event(1, "target", "session_closed"), "the server let go of the session"),
        (event(1, "target", "session_closed", reason="send_stall"), "the server let go of the session (send_stall)"),
        (event(1, "kernel", "gone"), "the connection is gone from the kernel"),
        (event(1, "client", "progress"), None),
    ],
)
def test_what_happens_is_told_as_it_comes(happened: Event, said: str | None) -> None:
    assert words.told(happened) == said


def test_the_account_says_what_was_held_and_what_became_of_it() -> None:
    kept = find(line(flowing(0, 5), BEGUN, stuck(5, 42)), scenario())
    told = account(look(), kept, 8.2, "halfopen repro frozen")
    assert told[0] == (
        "held for 33.8s; the session was still held by the server: 600 kB queued, nothing acknowledged for 37s"
    )
    assert told[2] == "      5.0s  freeze is in force"
    assert told[-2:] == ["capture: frozen.pcapng, 1234 packets", "again:   halfopen repro frozen"]


def test_the_account_of_a_session_that_was_reaped_says_by_what() -> None:
    reaped = find(line(flowing(0, 5), BEGUN, stuck(5, 43), orphaned(43, 44), REAPED), scenario())
    assert account(look(), reaped, 8.2, "x", tells_deeds=False)[0] == (
        "held for 33.8s; the session was reaped at 43.0s (send_stall)"
    )
