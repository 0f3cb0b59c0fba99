"""The closing account of a hold."""

from __future__ import annotations

import msgspec

from halfopen.repro.director import account
from halfopen.verdict.findings import find
from tests.harness.lines import event, flowing, line, orphaned, stuck
from tests.harness.repro.test_wedge import BEGUN, scenario
from tests.harness.repro.views import view

REAPED = event(43, "target", "dead_client_reaped", reason="send_stall", backlog_bytes=9, stall_s=38.0)


def test_the_account_says_what_was_held_and_what_became_of_it() -> None:
    kept = find(line(flowing(0, 5), BEGUN, stuck(5, 42)), scenario())
    lines = account(view(), kept, "halfopen repro frozen", lists_actions=True)
    assert lines[0] == (
        "held for 33.8s; the session was still held by the server: 600 kB queued, nothing acknowledged for 37s"
    )
    assert lines[2] == "      5.0s  freeze is in force"
    assert lines[-2:] == ["capture: frozen.pcapng, 1234 packets", "again:   halfopen repro frozen"]


def test_the_account_of_a_session_that_was_reaped_says_by_what() -> None:
    reaped = find(line(flowing(0, 5), BEGUN, stuck(5, 43), orphaned(43, 44), REAPED), scenario())
    assert account(view(), reaped, "x", lists_actions=False)[0] == (
        "held for 33.8s; the session was reaped at 43.0s (send_stall)"
    )


def test_a_session_that_was_never_held_is_said_to_be_open() -> None:
    early = msgspec.structs.replace(view(), held=None, still_since=None)
    alive = find(line(flowing(0, 5)), scenario())
    assert account(early, alive, "x", lists_actions=False)[0] == (
        "never held; the session was still open, with nothing stuck"
    )
