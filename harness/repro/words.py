"""The state of the server's watchdog during a hold, in words. Pure: events in, a sentence out."""

from __future__ import annotations

from collections.abc import Mapping

from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.verdict.judge import Timing


def watchdog(seen: Timeline, detector: str | None, terms: Timing, now: float, over: float | None) -> str:
    """Describe what the watchdog does and would do.

    ``detector`` is the pod's, None for another server. ``over`` is when the session ended.
    """
    if detector is None:
        return "the server's own goes on; only the pod's can be held"
    if detector == "none":
        return "the pod has none"
    if seen.first("target", "watchdog_cannot_be_held"):
        return f"{detector} is none of the pod's own threads: it cannot be held, and goes on"
    reaped = seen.first("target", "dead_client_reaped")
    if reaped is not None:
        return f"{detector} reaped the client at {reaped.t:.1f}s ({reaped.data.get('reason')})"
    held = _newest(seen, "watchdog_held", "watchdog_released")
    if held is None:
        return f"{detector}, grace {show_duration(terms.grace)}"
    if held.name == "watchdog_released":
        return f"{detector} goes on since {held.t:.1f}s (grace {show_duration(terms.grace)})"
    if over is not None:
        return f"held: {detector}; there is nothing left for it to look at"
    return f"held: {_verdict(seen, detector, terms, now)}; w lets go"


def _verdict(seen: Timeline, detector: str, terms: Timing, now: float) -> str:
    verdict = _newest(seen, "verdict_held", "verdict_dropped")
    if verdict is None:
        return f"{detector}, grace {show_duration(terms.grace)}, has no verdict yet"
    if verdict.name == "verdict_dropped":
        return f"{detector}'s verdict no longer holds since {verdict.t:.1f}s"
    ago = show_duration(round(max(0.0, now - verdict.t)))
    return f"{detector} would have reaped {ago} ago ({verdict.data.get('reason')})"


def is_held(seen: Timeline) -> bool:
    """True if the pod's watchdog is held back now."""
    last = _newest(seen, "watchdog_held", "watchdog_released", "watchdog_cannot_be_held")
    return last is not None and last.name == "watchdog_held"


def _newest(seen: Timeline, *names: str) -> Event | None:
    return seen.last("target", *names)


def books(said: Mapping[str, object], now: float) -> str:
    """Describe the server's own view of the session when asked; empty if it says nothing."""
    told = []
    if "problem" in said:
        told.append(str(said["problem"]))
    if "listed" in said:
        told.append("session listed" if said["listed"] else "session not listed")
    if "lock_held" in said:
        told.append("seat taken" if said["lock_held"] else "seat free")
    if "healthy" in said:
        told.append("health check content" if said["healthy"] else "health check failing")
    return f"asked at {now:.1f}s: {', '.join(told)}" if told else ""


def over(last: Sample | None, at: float, gone_at: float | None) -> str:
    """Describe what is left of a session that is over.

    ``gone_at`` is when the kernel forgot its socket, None if it has not.
    """
    ended = f"over at {at:.1f}s"
    if is_gone(last, gone_at):
        return f"{ended}; nothing is left of it in the kernel"
    assert last is not None
    if not last.outq:
        return f"{ended}; the kernel keeps it in {last.state}, with nothing queued"
    whose = "no process" if last.orphan else "the server"
    return f"{ended}; the kernel keeps {show_bytes(last.outq)} queued in {last.state}, held by {whose}"


def is_gone(last: Sample | None, gone_at: float | None) -> bool:
    """True if the kernel no longer knows the socket."""
    return last is None or last.state == "CLOSE" or (gone_at is not None and last.t <= gone_at)


#: Events that are reported as they come, with their texts.
_TOLD = {
    ("target", "verdict_held"): "the watchdog would reap now ({reason} for {stall_s:.1f}s), but is held",
    ("target", "verdict_dropped"): "the client shows life: the watchdog would spare it again",
    ("target", "dead_client_reaped"): "the watchdog reaped the client ({reason}, {backlog_bytes} bytes queued)",
    ("target", "session_closed"): "the server let go of the session ({reason})",
    ("target", "exited"): "the server ended (exit code {code})",
    ("client", "close_received"): "the client was sent a close frame ({code})",
    ("client", "ended"): "the client's connection ended",
    ("kernel", "destroyed"): "the kernel forgot the connection ({state}, {outq} bytes queued)",
    ("kernel", "gone"): "the connection is gone from the kernel",
    ("lab", "trouble"): "{what}",
}


def changes(event: Event) -> bool:
    """True if a reported event changes the server's behaviour. A verdict that is not carried out does not."""
    return (event.kind, event.name) in _TOLD and event.name not in {"verdict_held", "verdict_dropped", "trouble"}


def told(event: Event) -> str | None:
    """Return the text of an event as it comes; None if it is not reported."""
    text = _TOLD.get((event.kind, event.name))
    if text is None:
        return None
    try:
        return text.format_map(event.data)
    except (KeyError, ValueError, TypeError):  # the event has other fields than ours
        return text.partition(" (")[0]
