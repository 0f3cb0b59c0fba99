"""One session as shown, and as JSON has it (docs/watch.md). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.liveness.reading import Reading
from halfopen.netns import tcp_timers
from halfopen.netns.census import PROBE, RawSample
from halfopen.pod import detectors
from halfopen.pod.forecast import Forecast, ObservedSession
from halfopen.watch.tracks import Rules, Track

#: Pauses up to this long are no stall, seconds: a few of the longest round trips.
_A_MOMENT = 1.0
#: Fields of tcp_info that the samples of timelines lack, by the kernel's names; times in ms and us.
_MORE = ("rtt", "rttvar", "bytes_sent")

Peer = Literal["reads", "shut, answers", "shut, silent", "dark", "sends", "waiting", "gone"]
"""The peer's behaviour.

``reads``: it reads what it is sent. ``shut``: its window is shut, and its kernel answers probes of that, or does not.
``dark``: it answers no retransmission. ``sends``: it answers none either, but its own data arrives. ``waiting``: no
answer has come yet. ``gone``: it has closed its side.
"""


@dataclass(frozen=True, slots=True)
class Judges:
    """The detectors that judge sessions, and their settings in seconds."""

    grace: float
    poll: float
    detectors: Mapping[str, ModuleType]

    @property
    def rules(self) -> Rules:
        """The rules of those that have one."""
        return {name: module.RULE for name, module in self.detectors.items() if hasattr(module, "RULE")}


def judges(grace: float, poll: float, chosen: str) -> Judges:
    """Return the detectors whose verdicts the kernel's counters show; raises InputError if ``chosen`` is none of them.

    ``chosen`` may also be the import path of one's own.
    """
    by_name = {name: plugins.load(detectors, name) for name in [*plugins.names(detectors), chosen]}
    visible = {name: it for name, it in by_name.items() if hasattr(it, "RULE") or hasattr(it, "forecast")}
    if chosen not in visible:
        raise InputError(
            f"--detector {chosen!r}: its verdicts cannot be seen from outside; choose from {', '.join(visible)}"
        )
    return Judges(grace, poll, visible)


@dataclass(frozen=True, slots=True)
class WatchedSession(ObservedSession):
    """One session at one poll."""

    pid: int | None
    judges: Judges
    stalled: Mapping[str, float]
    """Seconds of stall by each detector's rule."""

    def verdict(self, detector: str) -> Forecast | None:
        """Return the verdict of a detector, computed on demand; None if the kernel does not show it."""
        module, grace = self.judges.detectors[detector], self.judges.grace
        if not hasattr(module, "RULE"):
            forecast: Forecast | None = module.forecast(self, grace, self.judges.poll)
            return forecast
        if self.sample.state != "ESTABLISHED":
            return Forecast(f"the connection is {self.sample.state}", 0.0)
        if not self.sample.outq:
            return Forecast("nothing is queued")
        return Forecast(module.RULE.reason.replace("_", " "), grace - self.stalled[detector], self.is_bound)

    def verdicts(self) -> dict[str, Forecast]:
        """Return the verdicts that the kernel shows."""
        verdicts = {name: self.verdict(name) for name in self.judges.detectors}
        return {name: verdict for name, verdict in verdicts.items() if verdict is not None}

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
        if info.unacked and tcp_timers.retransmissions(self.seen, info)[1]:
            if info.snd_wnd:
                return "sends" if self.is_heard else "dark"
            return "shut, answers" if self.is_answered else "shut, silent"
        return "waiting" if self.stuck > _A_MOMENT else "reads"


def make(track: Track, pid: int | None, judges: Judges) -> WatchedSession:
    """Return a session with bytes queued."""
    sample, reading = track.last.sample, Reading.of(track.last.info)
    return WatchedSession(track.last, sample, reading, track.stuck, track.is_bound, pid, judges, track.stalled())


def quiet(seen: RawSample, pid: int | None, judges: Judges) -> WatchedSession:
    """Return a session without bytes queued."""
    return WatchedSession(seen, seen.sample, Reading.of(seen.info), 0.0, False, pid, judges, {})


def as_data(session: WatchedSession, wall: datetime.datetime) -> dict[str, Any]:
    """Return all fields for JSON.

    ``wall`` is the time of day of the poll, from which the stall's start is computed.
    """
    sample, info = session.sample, session.sample.info
    is_tracked = session.stuck > 0 or sample.outq > 0
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
        "stuck_since": began(session, wall).isoformat(timespec="milliseconds") if is_tracked else None,
        "verdicts": {
            name: {
                "verdict": "spared" if verdict.within is None else "dead",
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
