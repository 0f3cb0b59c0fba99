"""Decide from the kernel's data on a connection that its client is dead. Pure: readings in, a verdict out.

Silence by itself proves nothing. Proof is an unanswered question, and three parties can be asked:

the path
    By data and retransmissions, probes of a closed window, pings: anything that the peer's kernel would
    answer. While none is answered, the path is dark. This is proved only from the first unanswered
    question to the last, not to the present. Retransmissions are ever further apart, and a path that
    healed between two of them has not been asked yet. ``unreachable`` after an ``outage`` so proved. If most
    sessions went dark at once, more proof is needed: see :mod:`halfopen.liveness.common_outage`.
the application, by its window
    Its kernel answers, but the window stays shut and no byte moves: the application does not read.
    ``send_stall`` after the grace, or, if longer, after the time to read its unread bytes at the least rate.
the application, by a ping
    With nothing queued, no stall is possible. So a client that has been silent for half the grace gets
    a ping, which it must answer (RFC 6455, section 5.5.2). ``no_answer`` if its kernel has the ping,
    and no answer arrives for as long as above.

Time only counts while connections are polled. Of a gap longer than two polls, two polls count. In such a gap the server
itself did not run (its interpreter's lock was held, it was stopped, its machine slept), so it could not have heard an
answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from halfopen.liveness.death import Death
from halfopen.liveness.reading import Fields, Reading
from halfopen.netns.tcp_info import state_name

DEFAULT_MIN_RATE = 64 * 1024.0
#: Longest outage that is survived, in graces.
_OUTAGE_IN_GRACES = 1.5
#: Longest outage that is survived if most sessions went dark at once, in outages.
_COMMON_OUTAGE_IN_OUTAGES = 2.0
_ESTABLISHED = 1
_CLOSED_BY_OWNER = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "TIME_WAIT"})
#: Most seconds for an answer, unless the connection's round trips take longer.
_LEAST_PATIENCE = 1.0
#: Shortest wait for a pending answer, seconds.
_LEAST_WAIT = 0.1
#: Resolution of the kernel's own times, milliseconds (a jiffy at HZ=100).
_TICK_MS = 10
#: Tolerance of comparisons of sums of seconds.
_EPSILON = 1e-6


#: For the errors of :class:`Terms`.
_EXAMPLES = {
    "grace": "seconds, such as 30",
    "poll": "seconds, such as 2",
    "min_rate": "bytes per second, such as 65536",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The parameters of a rule."""

    grace: float
    """Seconds for which an application may be silent while its kernel answers."""
    poll: float
    """Seconds between two polls."""
    min_rate: float = DEFAULT_MIN_RATE
    """Lowest rate at which a live application reads, bytes per second.

    A frozen application and one that reads a byte a minute look the same from here. This rate separates them.
    """
    outage: float | None = None
    """Seconds of darkness that are always survived; by default a grace and a half."""
    half_closed: float = 0.0
    """Seconds that the owner of a connection has to notice that its peer closed it.

    An event loop notices by itself, unless the server has stopped reading, and may still deliver what came before.
    """
    common_outage: float | None = None
    """Seconds of darkness that are survived if most sessions went dark at once; by default two outages.

    If it is no longer than an outage, such sessions are treated like all others.
    """

    def __post_init__(self) -> None:
        for name in ("grace", "poll", "min_rate"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: {value!r} is not a positive number; pass {_EXAMPLES[name]}")

    @property
    def longest_outage(self) -> float:
        """The outage, given or default."""
        return _OUTAGE_IN_GRACES * self.grace if self.outage is None else self.outage

    @property
    def longest_common_outage(self) -> float:
        """The common outage, given or default, and at least an outage."""
        outage = self.longest_outage
        return _COMMON_OUTAGE_IN_OUTAGES * outage if self.common_outage is None else max(outage, self.common_outage)


class Darkness(NamedTuple):
    """A path on which a question is unanswered for longer than its answer takes. Seconds of the monotonic clock."""

    heard_at: float
    """Time of the client's last answer."""
    first_asked: float
    """Time of the first question since, at the latest."""
    last_asked: float
    """Time of the last question, at the earliest."""


class Rule:
    """The rule for one connection, from its start. ``now`` is always in seconds of the monotonic clock.

    ``due`` is the time of the next poll, if that is before the regular one. ``wants_answer`` asks for a ping to the
    client; call ``asked`` after sending it.
    """

    __slots__ = (
        "_acked", "_acked_when_heard", "_ahead", "_closed_for", "_credit", "_delivered", "_early", "_first_asked",
        "_frames_at", "_grace", "_half_closed", "_heard_at", "_last_asked", "_looked_at", "_min_rate", "_most",
        "_outage", "_probes", "_quiet", "_received", "_silence_ms", "_unanswered", "_widest", "due", "wants_answer",
    )  # fmt: skip

    def __init__(self, terms: Terms, now: float) -> None:
        self._grace, self._min_rate, self._outage = terms.grace, terms.min_rate, terms.longest_outage
        self._half_closed = terms.half_closed
        self._most = 2 * terms.poll
        self._early = terms.grace - 2 * self._most
        self._silence_ms = terms.grace / 2 * 1000
        self.due, self.wants_answer = math.inf, False
        self._looked_at = now
        self._acked = self._delivered = self._received = self._acked_when_heard = self._widest = self._probes = 0
        # The path: times of the first and the last unanswered question.
        self._first_asked: float | None = None
        self._last_asked = self._heard_at = now
        # The window: seconds in which no byte moved, and seconds to add to them once a doubtful question is answered.
        self._quiet = self._credit = 0.0
        # The ping: the stream offset of its end, the unread bytes before it, and the time for which its receipt is
        # known.
        self._frames_at: int | None = None
        self._ahead = 0.0
        self._unanswered = 0.0
        self._closed_for = 0.0

    def look(self, seen: Fields, now: float) -> Death | None:
        """Evaluate a reading; returns the death if the client is dead.

        At most polls most connections are in no doubt. That is decided without creating a Reading.
        """
        before, self._looked_at = self._looked_at, now
        self.due, self.wants_answer = math.inf, False
        state, probes, unacked, sent, data, ack, rtt, _, acked, received, notsent, delivered, _, _, window = seen
        if state != _ESTABLISHED:
            return self._closing(Reading._make(seen), min(now - before, self._most))
        if window > self._widest:  # noqa: PLR1730 (a call takes as long as all of this)
            self._widest = window
        moved = acked != self._acked or delivered != self._delivered
        self._acked, self._delivered = acked, delivered
        if received != self._received:
            self._received, self._acked_when_heard, self._frames_at = received, acked, None
            moved = True
        if not (unacked or notsent or probes) and self._frames_at is None:
            self._first_asked, self._quiet, self._credit, self._probes = None, 0.0, 0.0, 0
            self.wants_answer = data >= self._silence_ms
            return None
        # Data sent within a round trip of the last answer cannot have been answered by it. Least of all can data that
        # this answer allowed us to send.
        asking = probes > 0 or (unacked > 0 and sent < min(ack, data) + 1e-3 * rtt + _TICK_MS)
        if not (asking or moved or self._first_asked or self._frames_at) and self._quiet < self._early:
            # A stall far from its end: as below, without the questions that could not be answered yet.
            self._quiet += min(now - before, self._most)
            self.wants_answer = data >= self._silence_ms
            return None
        return self._doubt(Reading._make(seen), now, before, moved, asking)

    @property
    def darkness(self) -> Darkness | None:
        """The darkness of the path at the last poll; None if no question is unanswered for long."""
        if self._first_asked is None or self._looked_at - self._first_asked < _LEAST_PATIENCE:
            return None
        return Darkness(self._heard_at, self._first_asked, self._last_asked)

    def _closing(self, seen: Reading, elapsed: float) -> Death | None:
        """Evaluate a connection that one side has closed. If its owner closed it, the handshake may take the grace."""
        state = state_name(seen.state)
        by_owner = state in _CLOSED_BY_OWNER
        self._closed_for += elapsed
        left = (self._grace if by_owner else self._half_closed) - self._closed_for
        if left <= _EPSILON:
            if by_owner:
                return Death("no_answer", seen.backlog, self._closed_for, state)
            return Death("peer_closed", seen.backlog, self._quiet, state)
        self.due = self._looked_at + left
        return None

    def excuse(self) -> None:
        """Withdraw the pending ping: its answer may wait until the server reads what came before."""
        self._frames_at, self._unanswered = None, 0.0

    def asked(self, fields: Fields) -> None:
        """Record that a ping was sent just before this reading."""
        seen = Reading._make(fields)
        if self._frames_at is None:
            self._unanswered = 0.0
            self._ahead = self._unread(seen)
        self._frames_at = seen.bytes_acked + seen.backlog

    def _doubt(self, seen: Reading, now: float, before: float, moved: bool, asking: bool) -> Death | None:
        """Evaluate a connection with queued data or a pending question."""
        elapsed = min(now - before, self._most)
        patience = max(2e-6 * seen.rtt + 4e-6 * seen.rttvar, _LEAST_PATIENCE)
        answered_at = now - min(seen.last_ack_recv, seen.last_data_recv) / 1000
        prompt = self._first_asked is None or answered_at - self._first_asked <= patience
        overdue = False
        if asking:
            if self._dark(seen, now, before, answered_at, patience):
                return Death("unreachable", seen.backlog, now - answered_at, "ESTABLISHED")
            overdue = now - (self._first_asked or now) > patience
        else:
            self._first_asked, self._probes = None, 0
        if not seen.unacked and not seen.notsent:
            self._quiet = self._credit = 0.0
        elif moved:
            # The last byte cannot have moved after the last answer arrived.
            self._quiet, self._credit = max(0.0, min(elapsed, now - answered_at)), 0.0
        elif asking:
            self._credit += elapsed
        else:
            # The doubtful time counts if the answer was as fast as answers usually are. Otherwise the path was dark.
            self._quiet += elapsed + (self._credit if prompt else 0.0)
            self._credit = 0.0
        return self._stall(seen, now, asking, overdue) or self._silence(seen, now, elapsed, overdue)

    def _dark(self, seen: Reading, now: float, before: float, answered_at: float, patience: float) -> bool:
        """True if unanswered questions prove an outage longer than must be survived."""
        if seen.unacked:
            earliest = latest = now - seen.last_data_sent / 1000
        elif seen.probes != self._probes:
            # The time of a probe is unknown: since the last poll.
            earliest, latest = before, now
        else:
            earliest = latest = self._last_asked
        self._probes, self._heard_at = seen.probes, answered_at
        self._last_asked = earliest
        if self._first_asked is None or answered_at > self._first_asked:
            self._first_asked = latest
        if earliest - self._first_asked < self._outage:
            return False
        if now - latest >= patience:
            return True
        self.due = min(self.due, latest + patience)
        return False

    def _stall(self, seen: Reading, now: float, asking: bool, overdue: bool) -> Death | None:
        """Evaluate the window's question: the peer's kernel answers, and nothing moves."""
        if overdue or not (seen.unacked or seen.notsent):
            return None
        limit = max(self._grace, self._unread(seen) / self._min_rate)
        if not asking and self._quiet >= limit - _EPSILON:
            return Death("send_stall", seen.backlog, self._quiet, "ESTABLISHED")
        # Doubt that is only due to a pending question is resolved after a round trip.
        left = limit - self._quiet - self._credit
        self.due = min(self.due, now + max(left, _LEAST_WAIT, 2e-6 * seen.rtt) if asking else now + left)
        return None

    def _silence(self, seen: Reading, now: float, elapsed: float, overdue: bool) -> Death | None:
        """Evaluate the ping's question: the peer's kernel has it, and its application does not answer."""
        if self._frames_at is None:
            self.wants_answer = not overdue and seen.last_data_recv >= self._silence_ms
            return None
        if seen.bytes_acked < self._frames_at or overdue:
            return None
        limit = max(self._grace, self._ahead / self._min_rate)
        half = self._unanswered < limit / 2
        self._unanswered += elapsed
        if self._unanswered >= limit - _EPSILON:
            return Death("no_answer", seen.backlog, self._unanswered, "ESTABLISHED")
        # Ask again halfway: it must also be proved that the path is not dark by now.
        self.wants_answer = half and self._unanswered >= limit / 2
        self.due = min(self.due, now + limit - self._unanswered)
        return None

    def _unread(self, seen: Reading) -> float:
        """Return the bytes that the peer's kernel may hold for its application.

        This is the shrinkage of its window, at most the bytes acknowledged since the application last sent anything.
        """
        return max(0, min(self._widest - seen.snd_wnd, seen.bytes_acked - self._acked_when_heard))
