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


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of one direction of a link, as the kernel reports it. Counts start when it was first impaired."""

    impairment: Impairment = NONE
    """The options in force. The kernel does not report a distribution, so this is the one that it accepted."""
    queued: int = 0
    """Packets in flight."""
    queued_bytes: int = 0
    sent: int = 0
    """Packets passed on, duplicates included."""
    sent_bytes: int = 0
    dropped: int = 0
    """Packets lost: at random, by the limit, or because the rate's queue was full."""
    overlimits: int = 0
    """Number of times that the rate delayed a packet."""
    overtaken: int = 0
    """Packets sent at once, before others (``reorder``)."""


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
            self._clear()
            raise
        self.asked = impairment

    def _put_netem(self, impairment: Impairment) -> None:
        """Add netem if available, even for a rate alone: to add it later, the bucket would have to be removed."""
        try:
            self._put("netem", _ROOT, netem.pack(impairment))
        except UnsupportedError:
            if impairment.needs_netem:
                raise

    def _put(self, kind: str, parent: int, options: bytes) -> None:
        _put(self._host, self._index, kind, parent, options)
        self._standing.add(kind)

    def _clear(self) -> None:
        if self._standing:
            self._host.configure(_delete(self._index))
        self._standing.clear()

    def effect(self) -> Effect:
        """Return the kernel's current report; raises OSError."""
        found = {kind: read for kind, read in _read(self._host, self._index).items() if kind in self._standing}
        if not found:
            return Effect()
        first, bucket = found.get("netem") or found["tbf"], found.get("tbf")
        return Effect(
            impairment=self._in_force(found),
            queued=first.queued,
            queued_bytes=first.queued_bytes,
            sent=first.sent,
            sent_bytes=first.sent_bytes,
            dropped=first.dropped,
            overlimits=bucket.overlimits if bucket else 0,
            overtaken=first.requeued,
        )

    def _in_force(self, found: dict[str, _Discipline]) -> Impairment:
        impairment = netem.unpack(found["netem"].options) if "netem" in found else NONE
        bucket = found["tbf"].options if "tbf" in found else None
        rate = token_bucket.unpack(bucket) if bucket else BitRate(0)
        return msgspec.structs.replace(
            impairment,
            rate=rate,
            queue=token_bucket.queue(bucket, rate, self.asked.queue) if bucket and rate else Duration(0),
            distribution=self.asked.distribution if impairment.jitter else "uniform",
        )


class _Discipline(NamedTuple):
    """One of an interface's disciplines, as the kernel dumps it."""

    options: memoryview
    sent: int
    sent_bytes: int
    queued: int
    queued_bytes: int
    dropped: int
    requeued: int
    overlimits: int


def _read(host: Host, index: int) -> dict[str, _Discipline]:
    """Return the disciplines that we added to an interface, by kind."""
    request = NetlinkRequest("reading qdiscs", _RTM_GETQDISC, _TCMSG.pack(0, index, 0, 0, 0))
    found = {}
    for body in host.dump(request):
        _, interface, handle, _, _ = _TCMSG.unpack_from(body)
        # The kernel dumps those of all interfaces. Its own disciplines (noqueue) have no handle.
        if interface == index and handle in _HANDLES.values():
            kind, discipline = _discipline(attributes(body, _TCMSG.size))
            found[kind] = discipline
    return found


def _discipline(told: dict[int, memoryview]) -> tuple[str, _Discipline]:
    stats = attributes(told[_TCA_STATS2])
    sent_bytes, sent = _BASIC.unpack_from(stats[_STATS_BASIC])
    if _STATS_PKT64 in stats:
        [sent] = _U64.unpack(stats[_STATS_PKT64])
    return bytes(told[_TCA_KIND]).rstrip(b"\0").decode(), _Discipline(
        told[_TCA_OPTIONS], sent, sent_bytes, *_QUEUE.unpack(stats[_STATS_QUEUE])
    )


def _put(host: Host, index: int, kind: str, parent: int, options: bytes) -> None:
    body = _TCMSG.pack(0, index, _HANDLES[kind], parent, 0)
    body += attribute(_TCA_KIND, kind.encode() + b"\0") + attribute(_TCA_OPTIONS, options)
    try:
        host.configure(NetlinkRequest(f"{kind} on interface {index}", _RTM_NEWQDISC, body, _CHANGE_OR_CREATE))
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise UnsupportedError(f"this kernel has no sch_{kind}") from None
        raise


def _delete(index: int) -> NetlinkRequest:
    return NetlinkRequest(f"the qdiscs of interface {index}", _RTM_DELQDISC, _TCMSG.pack(0, index, 0, _ROOT, 0))


def has_discipline(host: Host, index: int, kind: str) -> bool:
    """True if the kernel offers a queueing discipline; tested by adding it to interface ``index``."""
    options = {"netem": netem.pack(Impairment(delay=Duration(0.001))), "tbf": token_bucket.pack(BitRate(1e6))}[kind]
    try:
        _put(host, index, kind, _ROOT, options)
    except UnsupportedError:
        return False
    host.configure(_delete(index))
    return True
