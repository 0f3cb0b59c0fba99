"""Judge what a session cost the server in memory, files and threads. Pure."""

from __future__ import annotations

from halfopen.netns.units import show_bytes
from halfopen.scenario.spec import Scenario
from halfopen.verdict.findings import Findings

#: Growth of the server's memory worth a sentence, bytes: ten times what a kernel queues for a connection (tcp_wmem).
_MUCH_MEMORY = 40_000_000
#: Open files or threads left over that are worth a sentence. Many libraries keep a few.
_MANY_LEFT = 8


def kept_resources(scenario: Scenario, found: Findings) -> str | None:
    """Return a complaint about memory, files or threads; None if there is none."""
    held, expect = found.held, scenario.expect
    if held is None:
        return None
    if expect.memory_growth is not None and held.memory_growth > expect.memory_growth:
        grown, allowed = show_bytes(held.memory_growth), show_bytes(expect.memory_growth)
        return f"the server's processes grew by {grown}, expected at most {allowed}"
    if found.ended_at is None:
        return None
    # Workers that start or end meanwhile change the sum without a leak.
    if held.processes_changed:
        return None
    for count, most, what in (
        (held.files_left, expect.files_left, "open files"),
        (held.threads_left, expect.threads_left, "threads"),
    ):
        if most is not None and count > most:
            return f"the server has {count} more {what} after the session than before it, expected at most {most} more"
    return None


def cost(found: Findings) -> str:
    """Describe what the session cost the server in memory, files and threads; empty if that is little."""
    held, parts = found.held, list[str]()
    if held is None:
        return ""
    if held.memory_growth >= _MUCH_MEMORY:
        most = show_bytes(held.memory + held.memory_growth)
        parts.append(f"the server's memory grew by {show_bytes(held.memory_growth)}, to {most}")
    if found.ended_at is not None and not held.processes_changed:
        left = ((held.files_left, "open files"), (held.threads_left, "threads"))
        more = " and ".join(f"{count} more {what}" for count, what in left if count >= _MANY_LEFT)
        parts += [f"{more} at the end than before the session"] if more else []
    return ", ".join(parts)
