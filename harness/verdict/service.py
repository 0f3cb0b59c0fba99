"""Judge what a client got from the server: a session or a refusal, and its data. Pure."""

from __future__ import annotations

from collections.abc import Callable

from halfopen.model.expressions import Expression
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import Scenario
from halfopen.verdict import ends
from halfopen.verdict.findings import Findings


def refusal(scenario: Scenario, timeline: Timeline) -> tuple[bool, str]:
    """Judge a server that denied the session, in a close frame or in its answer to the handshake: right or wrong."""
    expect, denied = scenario.expect, timeline.first("client", "refused")
    closed = timeline.first("client", "close_received") if denied is None else None
    if closed is not None:
        how = f"refused at {closed.t:.1f}s: {ends.closing(closed)}"
    else:
        how = f"refused at {denied.t:.1f}s: {denied.data['why']}" if denied else "refused"
    if expect.session != "refused":
        return False, f"{how}; expected the session {expect.session}"
    seen = {"close code": closed and closed.data.get("code"), "HTTP status": denied and denied.data.get("status")}
    for name, wanted in (("close code", expect.close_code), ("HTTP status", expect.status)):
        if wanted is not None and seen[name] != wanted:
            return False, f"{how}; expected {name} {wanted}"
    return True, how


def unserved(scenario: Scenario, found: Findings, seconds: Callable[[Expression], float]) -> str | None:
    """Return a complaint about a client that was admitted or served late, or too little; None if there is none.

    ``seconds`` gives the length of a scenario's duration.
    """
    expect = scenario.expect
    for limit, moment, done in (
        (expect.admitted_within, found.opened_at, "admitted"),
        (expect.served_within, found.served_at, "served"),
    ):
        if limit is None or found.asked_at is None:
            continue
        within = seconds(limit)
        if moment is None:
            return f"not {done} since it connected at {found.asked_at:.1f}s, expected within {show_duration(within)}"
        if moment - found.asked_at > within:
            took = show_duration(round(moment - found.asked_at, 2))
            return f"{done} {took} after it connected at {found.asked_at:.1f}s, expected within {show_duration(within)}"
    if expect.longest_gap is not None:
        longest = seconds(expect.longest_gap)
        if found.gap is None:
            return "the client reported nothing of what it received"
        if found.gap.seconds > longest:
            silent = f"served nothing for {show_duration(round(found.gap.seconds, 1))} from {found.gap.begun:.1f}s on"
            return f"{silent}, expected at most {show_duration(longest)}"
    if expect.received_at_least is not None and found.received < expect.received_at_least:
        return f"received {show_bytes(found.received)}, expected at least {show_bytes(expect.received_at_least)}"
    return None


def wrong_close(scenario: Scenario, timeline: Timeline) -> str | None:
    """Return a complaint about the code of the server's close frame; None if it is as expected."""
    expected, closed = scenario.expect.close_code, ends.close_frame(timeline)
    if expected is None:
        return None
    if closed is None:
        return f"the session ended without a close frame, expected close code {expected}"
    if closed.data.get("code") == expected:
        return None
    return f"the session was {ends.closing(closed)}, expected {expected}"


def wrong_number(scenario: Scenario, found: Findings) -> str | None:
    """Return a complaint about the number of sessions in the server's own list; None if it is right or not known."""
    listed, expected = found.final.get("sessions"), scenario.expect.sessions
    if expected is None or not isinstance(listed, list) or len(listed) == expected:
        return None
    return f"the server lists {len(listed)} session{'' if len(listed) == 1 else 's'} at the end, expected {expected}"
