"""Turn an impairment into queueing disciplines on one interface, change them while packets flow, and read them back.

netem delays and loses packets; a token bucket behind it limits the rate. If the kernel has no sch_netem, a rate alone
is a token bucket by itself. A discipline is changed but never removed, since removal would drop its queued packets. An
interface that is no longer impaired keeps disciplines without effect.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

import msgspec

from halfopen.netns import netem, netlink, token_bucket
from halfopen.netns.host import Host
from halfopen.netns.impairment import NONE, Impairment
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.netns.netlink import NetlinkRequest, attribute, attributes
from halfopen.netns.units import BitRate, Duration

# include/uapi/linux/rtnetlink.h
_RTM_NEWQDISC = 36
_RTM_DELQDISC = 37
_RTM_GETQDISC = 38
_TCA_KIND = 1
_TCA_OPTIONS = 2
_TCA_STATS2 = 7
# gen_stats.h
_STATS_BASIC = 1
_STATS_QUEUE = 3
_STATS_PKT64 = 8

_TCMSG = struct.Struct("=B3xiIII")  # family, interface, handle, parent, info
_BASIC = struct.Struct("=QI")  # bytes, packets
_QUEUE = struct.Struct("=5I")  # packets and bytes waiting, drops, requeues, overlimits
_U64 = struct.Struct("=Q")

_ROOT = 0xFFFFFFFF
_HANDLES = {"netem": 0x10000, "tbf": 0x20000}
#: Change the discipline of this handle if it exists (tc qdisc change), or create it.
_CHANGE_OR_CREATE = netlink.NLM_F_CREATE | netlink.NLM_F_REPLACE


class QdiscReport(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of one direction of a link, as the kernel reports it. Counts start when it was first impaired."""

    impairment: Impairment = NONE
    """The options in force. The kernel does not report a distribution, so this is the one that it accepted."""
    queued: int = 0
    """Packets in flight."""
    sent: int = 0
    """Packets passed on, duplicates included."""
    dropped: int = 0
    """Packets lost: at random, by the limit, or because the rate's queue was full."""
    overtaken: int = 0
    """Packets sent at once, before others (``reorder``)."""


class _Discipline(NamedTuple):
    """One of an interface's disciplines, as the kernel dumps it."""

    options: memoryview
    sent: int
    queued: int
    dropped: int
    requeued: int


class Shaper:
    """Impairs the packets that leave by one interface."""

    def __init__(self, host: Host, index: int) -> None:
        self._host, self._index = host, index
        self._standing: set[str] = set()
        self.asked = NONE

    def shape(self, impairment: Impairment) -> None:
        """Impair packets from now on; packets in flight are kept.

        A packet keeps its departure time, unless it waits for the rate. If the kernel lacks a discipline, raises
        UnsupportedError and leaves the interface unimpaired.
        """
        self.asked = NONE
        if impairment == NONE and not self._standing:
            return
        try:
            self._put_netem(impairment)
            if impairment.rate or "tbf" in self._standing:
                parent = _HANDLES["netem"] | 1 if "netem" in self._standing else _ROOT
                self._put("tbf", parent, token_bucket.pack(impairment.rate, impairment.queue))
        except BaseException:
            self.clear()
            raise
        self.asked = impairment

    def _put_netem(self, impairment: Impairment) -> None:
        """Add netem if available, even for a rate alone: to add it later, the bucket would have to be removed."""
        try:
            self._put("netem", _ROOT, netem.pack(impairment))
        except UnsupportedError:
            if impairment.netem_fields:
                raise

    def _put(self, kind: str, parent: int, options: bytes) -> None:
        body = _TCMSG.pack(0, self._index, _HANDLES[kind], parent, 0)
        body += attribute(_TCA_KIND, kind.encode() + b"\0") + attribute(_TCA_OPTIONS, options)
        request = NetlinkRequest(f"{kind} on interface {self._index}", _RTM_NEWQDISC, body, _CHANGE_OR_CREATE)
        try:
            self._host.configure(request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise UnsupportedError(
                    f"this kernel has no sch_{kind}; a guest kernel has it: halfopen kernel build"
                ) from None
            raise
        self._standing.add(kind)

    def clear(self) -> None:
        """Remove the disciplines, with the packets queued in them."""
        if self._standing:
            body = _TCMSG.pack(0, self._index, 0, _ROOT, 0)
            self._host.configure(NetlinkRequest(f"the qdiscs of interface {self._index}", _RTM_DELQDISC, body))
        self._standing.clear()

    def report(self) -> QdiscReport:
        """Return the kernel's current report; raises OSError."""
        disciplines = self._read()
        first = disciplines.get("netem") or disciplines.get("tbf")
        if first is None:
            return QdiscReport()
        return QdiscReport(
            impairment=self._in_force(disciplines),
            queued=first.queued,
            sent=first.sent,
            dropped=first.dropped,
            overtaken=first.requeued,
        )

    def _in_force(self, disciplines: dict[str, _Discipline]) -> Impairment:
        impairment = netem.unpack(disciplines["netem"].options) if "netem" in disciplines else NONE
        bucket = disciplines["tbf"].options if "tbf" in disciplines else None
        rate = token_bucket.unpack(bucket) if bucket else BitRate(0)
        return msgspec.structs.replace(
            impairment,
            rate=rate,
            queue=token_bucket.queue(bucket, rate, self.asked.queue) if bucket and rate else Duration(0),
            distribution=self.asked.distribution if impairment.jitter else "uniform",
        )

    def _read(self) -> dict[str, _Discipline]:
        """Return the disciplines that we added, by kind."""
        request = NetlinkRequest("reading qdiscs", _RTM_GETQDISC, _TCMSG.pack(0, self._index, 0, 0, 0))
        disciplines = {}
        for body in self._host.dump(request):
            _, interface, handle, _, _ = _TCMSG.unpack_from(body)
            # The kernel dumps those of all interfaces. Its own disciplines (noqueue) have no handle.
            if interface == self._index and handle in _HANDLES.values():
                dumped = attributes(body, _TCMSG.size)
                stats = attributes(dumped[_TCA_STATS2])
                _, sent = _BASIC.unpack_from(stats[_STATS_BASIC])
                if _STATS_PKT64 in stats:
                    [sent] = _U64.unpack(stats[_STATS_PKT64])
                kind = bytes(dumped[_TCA_KIND]).rstrip(b"\0").decode()
                queued, _, dropped, requeued, _ = _QUEUE.unpack(stats[_STATS_QUEUE])
                disciplines[kind] = _Discipline(dumped[_TCA_OPTIONS], sent, queued, dropped, requeued)
        return disciplines


def has_discipline(host: Host, index: int, kind: str) -> bool:
    """True if the kernel offers a queueing discipline; tested by adding it to interface ``index``."""
    needing = {"netem": Impairment(delay=Duration(0.001)), "tbf": Impairment(rate=BitRate(1e6))}
    shaper = Shaper(host, index)
    try:
        shaper.shape(needing[kind])
    except UnsupportedError:
        return False
    shaper.clear()
    return True
