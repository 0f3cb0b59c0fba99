"""The closing account of a hold: what was held, what was done to it, and how the session ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from halfopen.netns.units import show_bytes, show_duration
from halfopen.repro.look import SessionView
from halfopen.verdict.findings import Findings

#: Prefix of the line that repeats the command.
AGAIN = "again:"


def account(
    look: SessionView, found: Findings, since: float | None, again: str, *, tells_deeds: bool = True
) -> Sequence[str]:
    """Return the lines of the account.

    ``since`` is when the hold began, None if it never did. ``tells_deeds`` adds the list of actions.
    """
    held = "never held" if since is None else f"held for {show_duration(round(max(0.0, look.t - since), 1))}"
    lines = [f"{held}; {_became(look, found)}"]
    if tells_deeds:
        lines += [f"  {deed.t:7.1f}s  {deed.text}" for deed in look.deeds]
    if look.capture:
        lines.append(f"capture: {look.capture}")
    return [*lines, f"{AGAIN}   {again}"]


def _became(look: SessionView, found: Findings) -> str:
    if found.ended_at is not None:
        reason = f" ({found.reason})" if found.reason else ""
        return f"the session was {found.outcome} at {found.ended_at:.1f}s{reason}"
    queued = look.sample.outq if look.sample else 0
    if look.still_since is None:
        return "the session was still open, its bytes acknowledged or none queued"
    since = show_duration(round(look.t - look.still_since, 1))
    return f"the session was still held by the server: {show_bytes(queued)} queued, nothing acknowledged for {since}"
