"""One session as shown, and as JSON has it (docs/watch.md). Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from halfopen.netns.census import PROBE, RawSample
from halfopen.netns.sockets import SocketSample
from halfopen.pod.liveness.reading import Reading
from halfopen.watch import bounds, forecast
from halfopen.watch.forecast import Forecast, OngoingStall
from halfopen.watch.tracks import Track

#: Pauses up to this long are no stall, seconds: a few of the longest round trips.
_A_MOMENT = 1.0
#: Fields of tcp_info that the samples of timelines lack, by the kernel's names; times in ms and us.
_MORE = ("last_data_sent", "last_data_recv", "rtt", "rttvar", "bytes_sent", "bytes_received")

Peer = Literal["reads", "shut, answers", "shut, silent", "dark", "waiting", "gone"]
"""The peer's behaviour.

``reads``: it reads what it is sent. ``shut``: its window is shut, and its kernel answers probes of that, or does not.
``dark``: it answers no retransmission. ``waiting``: no answer has come yet. ``gone``: it has closed its side.
"""


@dataclass(frozen=True, slots=True)
class WatchedSession:
    """One session at one poll."""

    seen: RawSample
    sample: SocketSample
    reading: Reading
    pid: int | None
    stuck: float
    """Seconds without an acknowledgement, with bytes queued."""
    is_bound: bool
    """True if ``stuck`` is a lower bound."""
    stall: OngoingStall | None
    """Input of the detectors; None if nothing is queued."""
    grace: float
    poll: float

    def verdict(self, detector: str) -> Forecast:
        """Return the verdict of a detector with this grace and poll, computed on demand."""
        if self.stall is None:
            return forecast.quiet(detector, self.sample.state)
        return forecast.of(detector, self.stall, self.grace, self.poll)

    def verdicts(self) -> dict[str, Forecast]:
        """Return the verdict of each detector."""
        return {name: self.verdict(name) for name in forecast.DETECTORS}

    @property
    def peer(self) -> Peer:
        """The peer's behaviour."""
        info = self.sample.info
        if self.sample.state != "ESTABLISHED":
            return "gone"
        if info is None or not self.sample.outq:
            return "reads"
        if not info.unacked and self.seen.timer == PROBE:
            return "shut, silent" if info.probes > 1 else "shut, answers"
        if self.stall is not None and info.unacked and bounds.retransmissions(self.seen, info)[1]:
            if info.snd_wnd:
                return "dark"
            return "shut, answers" if self.stall.is_answered else "shut, silent"
        return "waiting" if self.stuck > _A_MOMENT else "reads"


def make(track: Track, pid: int | None, grace: float, poll: float) -> WatchedSession:
    """Return a session with bytes queued, for detectors with this grace and poll."""
    sample, reading = track.last.sample, Reading.of(track.last.info)
    assert sample.info is not None
    stall = OngoingStall(track.last, sample.info, reading, track.stuck, track.is_bound, track.stalled())
    return WatchedSession(track.last, sample, reading, pid, track.stuck, track.is_bound, stall, grace, poll)


def quiet(seen: RawSample, pid: int | None) -> WatchedSession:
    """Return a session without bytes queued."""
    return WatchedSession(seen, seen.sample, Reading.of(seen.info), pid, 0.0, False, None, 0.0, 0.0)


def as_data(session: WatchedSession, wall: datetime.datetime) -> dict[str, Any]:
    """Return all fields for JSON.

    ``wall`` is the time of day of the poll, from which the stall's start is computed.
    """
    sample, info = session.sample, session.sample.info
    counters = {} if info is None else {name: value for name, value in info._asdict().items() if name != "state"}
    return {
        "local": str(sample.local),
        "remote": str(sample.remote),
        "pid": session.pid,
        "state": sample.state,
        "outq": sample.outq,
        "rqueue": sample.rqueue,
        **counters,
        **{name: getattr(session.reading, name) for name in _MORE},
        "peer": session.peer,
        "stuck_s": round(session.stuck, 3),
        "stuck_is_a_bound": session.is_bound,
        "stuck_since": began(session, wall).isoformat(timespec="milliseconds") if session.sample.outq else None,
        "verdicts": {
            name: {
                "verdict": verdict.word,
                "within_s": None if verdict.within is None else round(verdict.within, 3),
                "is_a_bound": verdict.is_bound,
                "why": verdict.why,
            }
            for name, verdict in session.verdicts().items()
        },
    }


def began(session: WatchedSession, wall: datetime.datetime) -> datetime.datetime:
    """Return the time of day since which nothing was acknowledged."""
    return wall - datetime.timedelta(seconds=session.stuck)
