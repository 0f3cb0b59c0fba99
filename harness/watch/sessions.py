"""One session as it is shown, and as JSON has it (docs/watch.md). Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from halfopen.netns.census import PROBE, Sighting
from halfopen.netns.sockets import Sample
from halfopen.pod.liveness.reading import Reading
from halfopen.watch import bounds, forecast
from halfopen.watch.forecast import Forecast, Stall
from halfopen.watch.tracks import Track

#: What a stall may last that nobody would call one, seconds: a few round trips of the longest.
_A_MOMENT = 1.0
#: Fields of tcp_info that the samples of timelines do not have, by the kernel's names; times in ms and us.
_MORE = ("last_data_sent", "last_data_recv", "rtt", "rttvar", "bytes_sent", "bytes_received")

Peer = Literal["reads", "shut, answers", "shut, silent", "dark", "waiting", "gone"]
"""What the other end does: it draws what it is sent; its window is shut, and its kernel answers probes of that, or does
not; it answers no retransmission; nothing came yet; it has closed its side."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session at one look."""

    seen: Sighting
    sample: Sample
    reading: Reading
    pid: int | None
    stuck: float
    """Seconds in which nothing was acknowledged, with bytes queued."""
    is_bound: bool
    """Whether that is the least it can be."""
    stall: Stall | None
    """What detectors go by; None with nothing queued."""
    grace: float
    poll: float

    def verdict(self, detector: str) -> Forecast:
        """What a detector of this grace and poll makes of it; made when it is asked for."""
        if self.stall is None:
            return forecast.quiet(detector, self.sample.state)
        return forecast.of(detector, self.stall, self.grace, self.poll)

    def verdicts(self) -> dict[str, Forecast]:
        """What each of them makes of it."""
        return {name: self.verdict(name) for name in forecast.DETECTORS}

    @property
    def peer(self) -> Peer:
        """What the other end does."""
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


def make(track: Track, pid: int | None, grace: float, poll: float) -> Session:
    """A session with bytes queued, for detectors of this grace and poll."""
    sample, reading = track.last.sample, Reading.of(track.last.info)
    assert sample.info is not None
    stall = Stall(track.last, sample.info, reading, track.stuck, track.is_bound, track.stalled())
    return Session(track.last, sample, reading, pid, track.stuck, track.is_bound, stall, grace, poll)


def quiet(seen: Sighting, pid: int | None) -> Session:
    """A session without."""
    return Session(seen, seen.sample, Reading.of(seen.info), pid, 0.0, False, None, 0.0, 0.0)


def as_data(session: Session, wall: datetime.datetime) -> dict[str, Any]:
    """All of it, for JSON; ``wall`` is the time of day of the look, by which the stall's beginning is told."""
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


def began(session: Session, wall: datetime.datetime) -> datetime.datetime:
    """The time of day from which nothing was acknowledged."""
    return wall - datetime.timedelta(seconds=session.stuck)
