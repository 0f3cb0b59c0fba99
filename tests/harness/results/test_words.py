"""Words for a run. Anchors: safe in a URL, and each for one run only."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.timeline import Event
from halfopen.results import words
from halfopen.results.words import anchor
from halfopen.verdict.judge import Timing
from tests.harness.lines import event, line, orphaned, sample
from tests.harness.repro.views import HELD, VERDICT

TERMS = Timing(30, 2)
DROPPED = event(40, "target", "verdict_dropped")
RELEASED = event(41, "target", "watchdog_released")
AGAIN = event(42, "target", "watchdog_held")
REAPED = event(43, "target", "dead_client_reaped", reason="send_stall", backlog_bytes=9, stall_s=38.0)


@pytest.mark.parametrize(
    ("label", "fragment"),
    [
        ("frozen", "frozen"),
        ("bytes-acked/frozen-2", "bytes-acked/frozen-2"),
        ("my case", "my~20~case"),
        ('"><script>', "~22~~3e~~3c~script~3e~"),
    ],
)
def test_a_label_is_a_fragment_that_can_be_read(label: str, fragment: str) -> None:
    assert anchor(label) == fragment


def test_a_run_without_a_session_says_none_unless_it_was_not_to_have_any() -> None:
    assert words.row({"truth": "dead", "verdict": "failed", "outcome": None}).session == "none"
    assert words.row({"truth": "dead", "verdict": "not_applicable", "outcome": None}).session == ""


@given(st.text())
def test_a_fragment_holds_nothing_that_a_url_may_not(label: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~/-]*", anchor(label))


@given(st.text(alphabet="a~2/0- e"), st.text(alphabet="a~2/0- e"))
def test_two_labels_have_two_anchors(one: str, other: str) -> None:
    assert (anchor(one) == anchor(other)) == (one == other)


@pytest.mark.parametrize(("duration", "shown"), [(31.46, "31.5s"), (0.0, "0.0s"), (None, "")])
def test_seconds_have_a_tenth(duration: float | None, shown: str) -> None:
    assert words.seconds(duration) == shown


def test_a_run_without_a_session_is_a_cell_too() -> None:
    assert words.cell({"verdict": "failed", "class": None}) == "!"
    assert words.cell({"verdict": "inconclusive", "class": None}) == "?"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], "bytes-acked, grace 30s"),
        ([HELD], "held: bytes-acked, grace 30s, no verdict yet; w releases it"),
        ([HELD, VERDICT], "held: bytes-acked would have reaped 15s ago (send_stall); w releases it"),
        ([HELD, VERDICT, DROPPED], "held: bytes-acked withdrew its verdict at 40.0s; w releases it"),
        ([HELD, VERDICT, RELEASED], "released at 41.0s: bytes-acked, grace 30s"),
        ([HELD, DROPPED, RELEASED, AGAIN], "held: bytes-acked withdrew its verdict at 40.0s; w releases it"),
        ([HELD, VERDICT, RELEASED, REAPED], "bytes-acked reaped the client at 43.0s (send_stall)"),
    ],
)
def test_the_watchdog_is_described(events: list[Event], said: str) -> None:
    assert words.watchdog(line(*events), "bytes-acked", TERMS, 50.0, None) == said


def test_what_cannot_be_held_is_said_to_go_on() -> None:
    refused = line(event(0, "target", "watchdog_cannot_be_held"))
    assert words.watchdog(refused, "tcp-user-timeout", TERMS, 9, None) == (
        "tcp-user-timeout is not a thread of the pod, so it cannot be held"
    )
    assert words.watchdog(refused, "none", TERMS, 9, None) == "the pod has none"
    assert words.watchdog(line(), None, TERMS, 9, None) == "the server's own, which cannot be held"


def test_the_servers_books_are_what_it_says_and_nothing_where_it_says_nothing() -> None:
    assert words.status({}, 3.0) == ""
    assert words.status({"problem": "it could not be asked"}, 3.0) == "asked at 3.0s: it could not be asked"
    assert words.status({"listed": False, "lock_held": False}, 3.0) == "asked at 3.0s: session not listed, seat free"


def test_what_is_left_of_a_session_is_told_with_whose_it_is() -> None:
    orphan = orphaned(8, 9)[-1]
    assert words.remains(orphan, 8.0, None) == (
        "over at 8.0s; the kernel keeps 1 kB queued in FIN_WAIT1, held by no process"
    )
    for gone, at in ((sample(9, state="CLOSE"), None), (sample(9), 9.0), (None, None)):
        assert words.remains(gone, 8.0, at) == "over at 8.0s; nothing is left of it in the kernel"
    # The destroyed socket has left a smaller one behind.
    assert words.remains(sample(9, state="TIME_WAIT"), 8.0, 8.5).endswith("keeps it in TIME_WAIT, with nothing queued")


def test_a_watchdog_that_is_held_has_nothing_to_look_at_once_it_is_over() -> None:
    assert words.watchdog(line(HELD, VERDICT), "bytes-acked", TERMS, 50.0, 45.0) == (
        "held: bytes-acked; the session is over"
    )


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (VERDICT, "the watchdog would reap now (send_stall for 30.0s), but is held"),
        (event(1, "target", "session_closed"), "the server ended the session"),
        (event(1, "target", "session_closed", reason="send_stall"), "the server ended the session (send_stall)"),
        (event(1, "kernel", "gone"), "the server's socket is gone"),
        (event(1, "client", "progress"), None),
    ],
)
def test_what_happens_is_told_as_it_comes(happened: Event, said: str | None) -> None:
    assert words.event(happened) == said
