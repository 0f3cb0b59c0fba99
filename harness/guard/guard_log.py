"""Lines of a guard, plain or JSON (docs/guard.md). A line that cannot be written is lost, and the guard goes on."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from halfopen.guard.decision import BrakeReport, LimitReport
from halfopen.guard.socket_ender import EndResult
from halfopen.liveness.death import Death
from halfopen.liveness.reading import Reading
from halfopen.netns.units import show_bytes, show_duration

#: Counters that are evidence, by the kernel's names; times in ms and us.
_EVIDENCE = (
    "bytes_acked", "bytes_received", "bytes_sent", "bytes_retrans", "delivered", "notsent", "unacked", "probes",
    "snd_wnd", "rtt", "last_data_sent", "last_data_recv", "last_ack_recv",
)  # fmt: skip


class Writable(Protocol):
    """A text stream."""

    def write(self, text: str, /) -> object:
        """Write it."""
        ...

    def flush(self) -> object:
        """Pass it on."""
        ...


class GuardLog:
    """Writes one line for each event."""

    def __init__(self, stream: Writable, *, json: bool) -> None:
        self._stream, self._json = stream, json

    def note(self, event: str, text: str, **data: Any) -> None:
        """Write an event of this name; ``data`` is for JSON."""
        self._write(text, {"event": event, **data, "text": text})

    def brake(self, report: BrakeReport) -> None:
        """Write that verdicts begin to wait, or that this is over."""
        if isinstance(report, LimitReport):
            cause, counts = "max_reaps", {"waiting": report.waiting, "sessions": report.sessions}
        else:
            cause, counts = "common_outage", {"waiting": report.dark, "sessions": report.watched}
        if report.phase == "held":
            self.note("hold", f"HOLDING: {report}", cause=cause, **counts)
        else:
            self.note("resume", f"resuming: {report}", cause=cause, **counts)

    def result(self, result: EndResult, *, is_dry: bool = False) -> None:
        """Write that a session was ended, or would have been; or that a server keeps it open all the same."""
        verdict, death = result.verdict, result.verdict.death
        sample = verdict.seen.sample
        holder = f"process {result.pid} ({result.process})" if result.pid else "no process that can be seen"
        evidence = _evidence(death, verdict.reading, verdict.lasted_s)
        if verdict.is_again:
            event, text = "still_open", f"{sample.remote} is still open: {holder} has not closed it since it was ended"
        elif is_dry:
            event, text = "would_reap", f"would reap {sample.remote} ({_words(death)}): {evidence}; held by {holder}"
        else:
            by_kernel = " (SOCK_DESTROY)" if result.means == "sock_destroy" else ""
            event, text = "reap", f"reaped {sample.remote} ({_words(death)}): {evidence}; held by {holder}{by_kernel}"
        data = {
            "client": str(sample.remote),
            "local": str(sample.local),
            "reason": death.reason,
            "state": death.tcp_state,
            "stuck_s": round(verdict.lasted_s, 3),
            "queued_bytes": sample.outq,
            "pid": result.pid,
            "process": result.process,
            "means": result.means,
            "evidence": {field: getattr(verdict.reading, field) for field in _EVIDENCE},
        }
        self._write(text, {"event": event, **data, "text": text})

    def _write(self, text: str, data: Mapping[str, Any]) -> None:
        at = datetime.datetime.now().astimezone()
        if self._json:
            line = msgspec.json.encode({"at": at.isoformat(timespec="milliseconds"), **data}).decode()
        else:
            line = f"halfopen guard: {text}"
        # Standard error may be closed, or its disk full. The server must not end for that.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


def _words(death: Death) -> str:
    return death.reason.replace("_", " ")


def _evidence(death: Death, reading: Reading, lasted: float) -> str:
    ago = show_duration(round(lasted, 1))
    queued = f"{show_bytes(death.backlog_bytes)} queued"
    if death.reason == "peer_closed":
        return f"the client closed it {ago} ago, the server has not; {queued}"
    if death.tcp_state != "ESTABLISHED":
        return f"the server closed its side, and the client has not answered for {ago}; {queued}"
    if death.reason == "unreachable":
        return f"no answer for {ago}; {queued}"
    return f"nothing acknowledged for {ago}; {queued}, window {show_bytes(reading.snd_wnd)}"
