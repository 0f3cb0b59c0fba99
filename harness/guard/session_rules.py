"""Judge one session from outside its server, with the rules of the pod's detectors. Pure: readings in, a verdict out.

Nobody can send the client a ping from outside. So a client that is silent while nothing is queued for it is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from halfopen.liveness.death import Death
from halfopen.liveness.reading import Reading
from halfopen.liveness.rule import Darkness, Rule, Terms
from halfopen.netns.tcp_info import STATES
from halfopen.pod.watchdog import Probe, StallRule

_ESTABLISHED, _CLOSE_WAIT = STATES.index("ESTABLISHED"), STATES.index("CLOSE_WAIT")


class OutsideRule:
    """The rule ``halfopen``, as far as it works from outside.

    A side that was closed has the grace from then on, or, if the server closed it, from the last progress: the server
    may still deliver what it wrote, or read what the client sends.
    """

    __slots__ = ("_counters", "_rule", "_state", "_terms", "due", "since")

    def __init__(self, terms: Terms, since: float) -> None:
        """``since``: the last moment at which the session is known to have had nothing queued, or now."""
        self._terms = terms
        self._rule = Rule(terms, since)
        self._state, self._counters = _ESTABLISHED, (0, 0, 0)
        self.since = since
        """Beginning of the present state, or the last progress in it if the server has closed its side."""
        self.due = math.inf
        """Time of the next look, if that is before the next poll."""

    @property
    def darkness(self) -> Darkness | None:
        """The darkness of the path at the last look."""
        return self._rule.darkness

    def look(self, seen: Reading, outq: int, now: float) -> Death | None:
        """Evaluate a reading; ``outq`` is the bytes queued. Returns the death if the client is dead."""
        counters = (seen.bytes_acked, seen.bytes_received, seen.delivered)
        is_served = seen.state == _ESTABLISHED
        moved = counters[:2] != self._counters[:2] and seen.state != _CLOSE_WAIT
        if seen.state != self._state or (moved and not is_served):
            self.since = now
            if not is_served:
                self._rule = Rule(self._terms, now)
        self._state, self._counters = seen.state, counters
        death = self._rule.look(seen, now)
        self.due = self._rule.due
        return self._established(seen, outq, now, death) if is_served else death

    def rest(self, at: float) -> None:
        """Record that a poll did not bring the session, so that nothing was queued then."""
        if self._state == _ESTABLISHED:
            acked, received, delivered = self._counters
            idle = Reading(_ESTABLISHED, 0, 0, 0, 0, 0, 0, 0, acked, received, 0, delivered, 0, 0, 0)
            self.look(idle, 0, at)

    def _established(self, _seen: Reading, _outq: int, _now: float, death: Death | None) -> Death | None:
        """Return the verdict on an established connection, given that of the rule ``halfopen``."""
        return death


class OutsideStallRule(OutsideRule):
    """The rule ``bytes-acked`` for an established connection. It leaves ``darkness`` to the rule ``halfopen``."""

    __slots__ = ("_stall",)

    def __init__(self, terms: Terms, since: float) -> None:
        super().__init__(terms, since)
        self._stall = StallRule(since)

    def _established(self, seen: Reading, outq: int, now: float, _death: Death | None) -> Death | None:
        stall = self._stall.stalled_for(Probe("ESTABLISHED", outq, seen.bytes_acked), now)
        if outq and stall >= self._terms.grace:
            return Death(self._stall.reason, outq, stall, "ESTABLISHED")
        self.due = now + self._terms.grace - stall if outq else math.inf
        return None


RULES: dict[str, Callable[[Terms, float], OutsideRule]] = {"halfopen": OutsideRule, "bytes-acked": OutsideStallRule}
"""The rules by the names of the pod's detectors that use them."""


def is_dialled(seen: Reading, outq: int) -> bool | None:
    """True if this end opened the connection, False if it accepted it; None if a side is closed.

    The acknowledgement of the SYN counts in ``bytes_acked`` of the end that sent it. The accepting end's counters begin
    after its SYN (tcp_create_openreq_child, net/ipv4/tcp_minisocks.c). A FIN in the queue would count as well.
    """
    if seen.state not in (_ESTABLISHED, _CLOSE_WAIT):
        return None
    in_flight = outq - seen.notsent
    return in_flight - (seen.bytes_sent - seen.bytes_retrans - seen.bytes_acked) == 1


def has_moved(death: Death, before: Reading, now: Reading) -> bool:
    """True if the client showed life, or the connection ended, after the reading ``before`` of its verdict.

    Of a client that has closed its side, only the state counts: it is ended whatever it still takes.
    """
    if now.state != before.state:
        return True
    if death.reason == "peer_closed":
        return False
    if (now.bytes_acked, now.bytes_received, now.delivered) != (
        before.bytes_acked,
        before.bytes_received,
        before.delivered,
    ):
        return True
    is_drained = before.state == _ESTABLISHED and not (now.unacked or now.notsent)
    is_heard = min(now.last_ack_recv, now.last_data_recv) < min(before.last_ack_recv, before.last_data_recv)
    return is_drained or (death.reason == "unreachable" and is_heard)
