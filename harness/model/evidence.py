"""Derive evidence from samples. All functions are pure: a timeline in, a finding out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.netns.units import show_bytes, show_duration

#: States in which the server still has its side of the connection.
ALIVE_STATES = frozenset({"ESTABLISHED", "CLOSE_WAIT"})
#: States after the server's application ended its side.
ENDED_STATES = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "TIME_WAIT", "CLOSE"})

#: Seconds below which a gap between acknowledgements comes from the sampling.
_WORTH_TELLING = 0.1
#: Seconds of silence that any slow stream may have.
_SHORT_SILENCE = 5.0
#: Seconds below which a dark path is not observable, and for which packets in flight when it goes dark may still
#: arrive.
_SHORTEST_DARK, _UNDER_WAY = 0.5, 2.0
#: Seconds of the shortest stall that counts, many times the lab's round trip.
_SHORTEST_STALL = 0.5
#: Seconds within which a probe is answered.
_ANSWERED_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that something happened, or not (``shown``), and the sentence that names the evidence."""

    shown: bool
    what: str


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch in which bytes were queued and the peer acknowledged none."""

    onset: float
    """Moment of the peer's last acknowledgement while bytes were queued, or of the first byte queued after it."""
    until: float
    samples: tuple[Sample, ...]
    goes_on: bool = False
    """True if the stall was not over at the last sample."""

    @property
    def seconds(self) -> float:
        """Seconds that it was seen to last."""
        return self.until - self.onset


def established(timeline: Timeline) -> tuple[Sample, ...]:
    """Return the samples taken while the server had its side open. Anything seen after the end does not count."""
    until_end = takewhile(lambda s: s.state not in ENDED_STATES, timeline.samples)
    return tuple(s for s in until_end if s.state in ALIVE_STATES)


def stalls(samples: Sequence[Sample]) -> Iterator[Stall]:
    """Yield every stretch without progress, in order. Progress is an acknowledged byte or an empty queue."""
    begun: float | None = None
    held: list[Sample] = []
    previous: Sample | None = None
    for sample in samples:
        advanced = previous is None or sample.bytes_acked != previous.bytes_acked
        if begun is not None and held and (advanced or not sample.outq):
            yield Stall(begun, held[-1].t, tuple(held))
            begun, held = None, []
        if sample.outq:
            if begun is None:
                begun = _acknowledged_at(sample, previous) if advanced else sample.t
            held.append(sample)
        else:
            begun, held = None, []
        previous = sample
    if begun is not None and held:
        yield Stall(begun, held[-1].t, tuple(held), goes_on=True)


def _acknowledged_at(sample: Sample, previous: Sample | None) -> float:
    """Return when the acknowledgement first seen in ``sample`` arrived. The kernel reports its age, to a jiffy."""
    arrived = sample.t - sample.last_ack_recv / 1000
    return max(arrived, previous.t) if previous else sample.t


def longest_stall(samples: Sequence[Sample]) -> Stall | None:
    """Return the longest stretch without progress, None if there was none."""
    return max(stalls(samples), key=lambda stall: stall.seconds, default=None)


def last_stall(samples: Sequence[Sample]) -> Stall | None:
    """Return the stretch without progress in which the samples end, None if they end otherwise."""
    return next((stall for stall in stalls(samples) if stall.goes_on), None)


def acknowledged(samples: Sequence[Sample]) -> int:
    """Return the bytes acknowledged between the first and the last sample."""
    known = [s.bytes_acked for s in samples if s.bytes_acked is not None]
    return known[-1] - known[0] if known else 0


def allowed_silence(seconds: float) -> float:
    """Return the seconds of silence allowed in a slow stream that was observed for ``seconds``."""
    return max(_SHORT_SILENCE, seconds / 4)


def last_change(readings: Iterable[tuple[float, object]]) -> float | None:
    """Return the moment of a value's last change, given its readings at these moments; None if it never changed."""
    return max((t for (_, before), (t, after) in pairwise(readings) if after != before), default=None)


def _longest_standstill(told: Sequence[tuple[float, object]]) -> float:
    """Return the longest time between changes of a value, given its readings at these moments."""
    last, longest = told[0][0], 0.0
    for (_, before), (t, after) in pairwise(told):
        last = t if after != before else last
        longest = max(longest, t - last)
    return longest


def lives(seen: Timeline) -> Proof:
    """Proof that the client was alive to the end of the samples.

    If the server streams, its kernel's acknowledgements show it. If the server is quiet, the client's process must have
    reported, and the path must have carried a packet each way (:func:`path_carries`).
    """
    samples = established(seen)
    if not samples:
        return Proof(False, "the server's socket was never seen open")
    span = samples[-1].t - samples[0].t
    if (wait := _longest_wait(samples)) > allowed_silence(span):
        return Proof(False, f"nothing was acknowledged for {show_duration(wait)}, with {samples[-1].outq} bytes queued")
    count, moved_at = acknowledged(samples), _moved_at(samples)
    if count and samples[-1].t - moved_at <= allowed_silence(span):
        if (unread := moved_at - _read_at(seen)) > allowed_silence(span):
            return Proof(False, f"the client's application read nothing in the last {show_duration(unread)}")
        return Proof(True, f"{show_bytes(count)} acknowledged{_apart(samples)}")
    return all_of(Proof(True, _received(seen, count)), _process_runs(seen, samples[-1].t), path_carries(seen))


def _received(seen: Timeline, acknowledged: int) -> str:
    """Return the bytes that reached the client, in words. The first may be acknowledged before the first sample."""
    count = max(acknowledged, *map(_read, seen.of("client", "progress")), 0)
    return f"{show_bytes(count)} received" if count else "the server sent nothing"


def _longest_wait(samples: Sequence[Sample]) -> float:
    """Return the longest time in which bytes were queued and nothing reached the peer's kernel.

    Data that arrives past a gap is acknowledged selectively (RFC 2018). tcpi_delivered counts it, but tcpi_bytes_acked
    stands still until the gap is filled, which takes half a minute on the slowest links.
    """
    last, longest = samples[0].t, 0.0
    for before, after in pairwise(samples):
        if not after.outq or (after.bytes_acked, after.delivered) != (before.bytes_acked, before.delivered):
            last = after.t
        longest = max(longest, after.t - last)
    return longest


def _moved_at(samples: Sequence[Sample]) -> float:
    """Return when something last reached the peer's kernel; the first sample's time if nothing did."""
    changed = last_change((s.t, (s.bytes_acked, s.delivered)) for s in samples)
    return samples[0].t if changed is None else changed


def _read_at(seen: Timeline) -> float:
    """Return when the client's process last reported that it had read more; infinity if it never reported."""
    reports = [(event.t, _read(event)) for event in seen.of("client", "progress")]
    if not reports:
        return math.inf
    changed = last_change(reports)
    return reports[0][0] if changed is None else changed


def _read(report: Event) -> int:
    """Return the bytes of the session that the client had read. They count as they arrive, not as whole messages."""
    count: int = report.data.get("read", report.data["received"])
    return count


def _process_runs(seen: Timeline, end: float) -> Proof:
    """Proof that the client's process ran to the end: it reports its progress twice a second."""
    reports = [event.t for event in seen.of("client", "progress")]
    if not reports or end - reports[-1] > _SHORT_SILENCE:
        silent = show_duration(end - reports[-1] if reports else end)
        return Proof(False, f"the client's process reported nothing for {silent}")
    return Proof(True, "the client's process ran")


def path_carries(seen: Timeline) -> Proof:
    """Proof that the path carried packets both ways, by the last connection attempt from the client's host."""
    attempt = seen.last("lab", "path")
    if attempt is None:
        return Proof(False, "the path was not tried")
    if not attempt.data["carries"]:
        return Proof(False, f"the path carried nothing at {attempt.t:.1f}s")
    return Proof(True, "its path carried packets both ways")


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without received data."""

    begun: float
    seconds: float


def reported_gaps(timeline: Timeline, kind: str) -> list[Gap]:
    """Return the gaps that a client (``client``) or a crowd (``crowd``) reported, each at its end."""
    return [Gap(event.t - event.data["seconds"], event.data["seconds"]) for event in timeline.of(kind, "gap")]


def longest_gap(timeline: Timeline, until: float, since: float = -math.inf) -> Gap | None:
    """Return the longest time without received data while the session was open, from ``since`` up to ``until``.

    Pings are no data. None if the client's process reported nothing. It measures by itself, since pings count in all
    that the kernel shows.
    """
    reports = [event for event in timeline.of("client", "progress") if event.t <= until]
    gaps = reported_gaps(timeline, "client")
    if reports and "silent_for" in reports[-1].data:
        begun = reports[-1].t - reports[-1].data["silent_for"]
        # Data may have come since the last report.
        next_gap = next((gap for gap in gaps if gap.begun > begun), None)
        last = [] if next_gap else [Gap(begun, reports[-1].data["silent_for"])]
        gaps += last
    parts = [(max(gap.begun, since), min(gap.begun + gap.seconds, until)) for gap in gaps]
    within = [Gap(begun, over - begun) for begun, over in parts if begun < over]
    return max(within, key=lambda gap: gap.seconds, default=None)


def _apart(samples: Sequence[Sample]) -> str:
    """Return the longest gap between acknowledgements in words, empty if too short to mention."""
    longest = longest_stall(samples)
    if longest is None or longest.seconds < _WORTH_TELLING:
        return ""
    return f", at most {show_duration(longest.seconds)} apart"


def window_closed(seen: Timeline) -> Proof | None:
    """Proof that the stall at the end of the samples is a closed window of a live kernel; None without a stall."""
    stall = last_stall(established(seen))
    if stall is None or stall.seconds < _SHORTEST_STALL:
        return None
    last = stall.samples[-1]
    if last.unacked:
        return Proof(False, f"the peer's kernel was to live on, but {last.unacked} packets got no answer")
    if last.snd_wnd:
        return Proof(False, f"the peer's window was to close, but it is {last.snd_wnd} bytes")
    return Proof(
        True,
        f"window closed, {show_bytes(last.outq)} queued, nothing acknowledged for {show_duration(stall.seconds)}",
    )


def dark(seen: Timeline) -> Proof:
    """Proof that no more packets came from the peer, and that anything sent to it got no answer.

    The times of the last acknowledgement and the last data grow with every second without a packet. Retransmissions and
    unanswered probes show that something was sent (net/ipv4/tcp_timer.c). The fault shows that no packet could come.
    """
    samples = established(seen)
    if not samples:
        return Proof(False, "the path was to be dark, but the server's socket was not seen open")
    first, last = samples[0], samples[-1]
    unheard, lasted = last.unheard, last.t - first.t
    if unheard < max(_SHORTEST_DARK, lasted - _UNDER_WAY):
        told = f"the last packet came {show_duration(unheard)} before the end of {show_duration(lasted)}"
        return Proof(False, f"the path was to be dark, but {told}")
    silence = f"no packet from the client for {show_duration(unheard)}"
    if not last.outq:
        return Proof(True, f"{silence}, nothing queued")
    if last.unacked and last.total_retrans > first.total_retrans:
        count = last.total_retrans - first.total_retrans
        return Proof(True, f"{silence}, {show_bytes(last.outq)} queued, {count} retransmissions without an answer")
    recent = [s for s in samples if s.t >= last.t - _ANSWERED_WITHIN]
    if all(s.probes for s in recent) and recent[-1].t - recent[0].t >= _ANSWERED_WITHIN / 2:
        return Proof(True, f"{silence}, {show_bytes(last.outq)} queued, {last.probes} probes without an answer")
    if last.unacked and lasted > _UNDER_WAY + last.rto / 1e6:
        return Proof(False, f"the path was to be dark, but {last.unacked} unanswered packets were not sent again")
    return Proof(True, f"{silence}, {show_bytes(last.outq)} queued")


def client_reads(seen: Timeline) -> Proof:
    """Proof that the client's process read bytes all along, and that its kernel acknowledged some.

    For a client that reads slower than the server sends. Its kernel acknowledges only after a good part of its buffer
    is read (RFC 9293, section 3.8.6.2.2), which may take as long as the grace for a dead client.
    """
    told = [(e.t, _read(e)) for e in seen.of("client", "progress")]
    if len(told) < 2 or told[-1][1] == told[0][1]:
        return Proof(False, "the client read nothing")
    samples = established(seen)
    count = acknowledged(samples)
    if not count:
        return Proof(False, "the client's kernel acknowledged nothing")
    silence = _longest_standstill(told)
    if silence > allowed_silence(told[-1][0] - told[0][0]):
        return Proof(False, f"the client read nothing for {show_duration(silence)}")
    return Proof(True, f"{show_bytes(count)} acknowledged{_apart(samples)}")


def all_of(*proofs: Proof) -> Proof:
    """Shown if all are. The text lists all evidence, or whatever is lacking."""
    lacking = [proof.what for proof in proofs if not proof.shown]
    if lacking:
        return Proof(False, "; ".join(lacking))
    return Proof(True, ", ".join(proof.what for proof in proofs))
