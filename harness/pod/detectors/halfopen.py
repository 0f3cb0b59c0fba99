"""Ours: the path, the window or a ping went unanswered; checked by one thread for all sessions.

See :mod:`halfopen.liveness`, which any server can use, and docs/detectors.md.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Mapping
from typing import Any

from halfopen import liveness
from halfopen.liveness import CommonOutageReport, Rule, Terms, Watch, Watcher
from halfopen.liveness.reading import Reading
from halfopen.netns import tcp_timers
from halfopen.netns.units import show_duration
from halfopen.pod.detector_hold import HeldLivenessRule
from halfopen.pod.detectors import _keepalive
from halfopen.pod.detectors._seam import Detector, Guarded, Settings
from halfopen.pod.forecast import Forecast, ObservedSession
from halfopen.pod.log import log

SUMMARY = "the path, the window or a ping is unanswered; one thread polls all sessions"

#: How far ahead the rule is replayed, in graces. If it will give a verdict, it has done so by then.
_HORIZON = 6.0


class Halfopen(Detector):
    """One watcher for all sessions, of threads or of an event loop."""

    def __init__(self, settings: Settings) -> None:
        self._is_async = settings.api == "asyncio"
        # The part for asyncio is only imported where it is used.
        make = liveness.AsyncWatcher if self._is_async else Watcher
        self._watcher: liveness.AsyncWatcher | Watcher = make(
            settings.grace,
            settings.poll,
            min_rate=settings.min_rate,
            outage=settings.outage,
            common_outage=settings.common_outage,
            reap=settings.reap or "reset",
        )
        self._watcher.common_outage.on_change = _log_common_outage
        self._hold = settings.hold
        if self._hold is not None:
            self._hold.is_respected = True

    def serve_options(self) -> Mapping[str, Any]:
        """Return options that turn the library's keepalive off.

        A slow reader's pong waits behind all that it has yet to read, for longer than its timeout. Without a timeout,
        once a pong took longer than an interval, websockets 17 sends pings without pause.
        """
        return {"ping_interval": None} if self._is_async or _keepalive.there_is_one() else {}

    def guard(self, session: Guarded) -> Watch | liveness.AsyncWatch:
        """Watch the session's socket."""
        watch: Watch | liveness.AsyncWatch
        if isinstance(self._watcher, Watcher):
            watch = self._watcher.watch(session.sock, session.declare_dead, ask=session.ask)
        else:
            watch = self._watcher.watch(session.connection, on_dead=session.declare_dead)
        if self._hold is not None:
            watch.rule = HeldLivenessRule(self._watcher.terms, time.monotonic(), self._hold, session.id)
        return watch


def _log_common_outage(report: CommonOutageReport) -> None:
    fields = report._asdict()
    log(f"common_outage_{fields.pop('phase')}", **fields)


def create(settings: Settings) -> Halfopen:
    """Return the detector with its settings."""
    return Halfopen(settings)


def forecast(session: ObservedSession, grace: float, poll: float) -> Forecast | None:
    """Replay the rule from the start of the stall, with what the kernel's timers must have done, into the future."""
    if session.sample.state != "ESTABLISHED":
        return Forecast(f"the connection is {session.sample.state}", 0.0)
    if not session.sample.outq:
        return None  # only the server knows if its pings are answered
    at = -session.stuck
    rule = Rule(Terms(grace, poll), at)
    end = at + (_HORIZON + 1) * grace
    history = _History(session, end)
    while at < end:
        death = rule.look(history.at(at), at)
        if death is not None:
            return Forecast(death.reason.replace("_", " "), at, session.is_bound)
        at = min(at + poll, max(rule.due, at + 1e-3))
    return Forecast(f"no proof of a death for {show_duration(_HORIZON * grace)}")


class _History:
    """A stall's readings at any moment since it began, and later. Only the counters of its timers change.

    Moments are seconds from now.
    """

    def __init__(self, session: ObservedSession, until: float) -> None:
        info = session.sample.info
        assert info is not None
        self._now = session.reading
        self._onset = -session.stuck
        if info.unacked:
            self._dark_at = math.inf if session.is_answered else self._onset
            timer, _ = tcp_timers.retransmissions(session.seen, info)
        else:
            # One answer may still be on its way.
            self._dark_at = -min(info.unheard, session.stuck) if info.probes > 1 else math.inf
            timer = tcp_timers.probes(info)
        self._asked_at = timer.moments(until + session.stuck)

    def _asked_by(self, moment: float) -> int:
        return bisect.bisect_right(self._asked_at, moment - self._onset)

    def at(self, moment: float) -> Reading:
        """Return the reading at a moment."""
        age = moment - self._onset
        unanswered = max(0.0, moment - self._dark_at)
        asked = self._asked_by(moment)
        probes, sent = 0, age
        if self._now.unacked:
            sent -= self._asked_at[asked - 1] if asked else 0.0
        elif unanswered:
            probes = asked - self._asked_by(self._dark_at)
        return self._now._replace(
            probes=probes,
            last_ack_recv=round(unanswered * 1000),
            last_data_sent=round(sent * 1000),
            last_data_recv=round(max(unanswered, age) * 1000),
        )
