"""Derive evidence from samples. All functions are pure: a timeline in, a finding out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from halfopen.model.timeline import Sample, Timeline
from halfopen.netns.units import show_bytes, show_duration

#: States in which the server still has its side of the connection.
ALIVE_STATES = frozenset({"ESTABLISHED", "CLOSE_WAIT"})
#: States after the server's application ended its side.
ENDED_STATES = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "TIME_WAIT", "CLOSE"})

#: Advice for a server that streams nothing.
_ASK = "does it want to be asked first (--send)?"
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


def longest_silence(samples: Sequence[Sample]) -> float:
    """Return the longest time in which nothing reached the peer's kernel, whether or not any byte was queued.

    Data that arrives past a gap is acknowledged selectively (RFC 2018). tcpi_delivered counts it, but tcpi_bytes_acked
    stands still until the gap is filled, which takes half a minute on the slowest links.
    """
    return _longest_standstill([(s.t, (s.bytes_acked, s.delivered)) for s in samples])


def _longest_standstill(told: Sequence[tuple[float, object]]) -> float:
    """Return the longest time between changes of a value, given its readings at these moments."""
    last, longest = told[0][0], 0.0
    for (_, before), (t, after) in pairwise(told):
        last = t if after != before else last
        longest = max(longest, t - last)
    return longest


def peer_acknowledges(seen: Timeline) -> Proof:
    """Proof that the peer acknowledged bytes all along, with the longest wait for one while bytes were queued."""
    samples = established(seen)
    count = acknowledged(samples)
    if not count and not any(s.outq for s in samples):
        return Proof(False, f"the server streamed nothing: {_ASK}")
    if not count:
        return Proof(False, "the client's kernel acknowledged nothing")
    silence = longest_silence(samples)
    if silence > allowed_silence(samples[-1].t - samples[0].t):
        if not any(s.outq for s in samples):
            return Proof(False, f"the server streamed nothing for {show_duration(silence)}: {_ASK}")
        return Proof(
            False,
            f"nothing was acknowledged for {show_duration(silence)}, with {samples[-1].outq} bytes queued",
        )
    return Proof(True, f"{show_bytes(count)} acknowledged{_apart(samples)}")


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

    tcpi_last_ack_recv grows with every second without a packet. Retransmissions and unanswered probes show that
    something was sent (net/ipv4/tcp_timer.c). If nothing was sent, the fault must show that no packet could come.
    """
    samples = established(seen)
    if not samples:
        return Proof(False, "the path was to be dark, but the server's socket was not seen open")
    first, last = samples[0], samples[-1]
    unheard, lasted = last.last_ack_recv / 1000, last.t - first.t
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
    return Proof(False, f"the path was to be dark, but nothing was sent to try it, with {last.outq} bytes queued")


def client_reads(seen: Timeline) -> Proof:
    """Proof that the client's process read bytes all along, and that its kernel acknowledged some.

    For a client that reads slower than the server sends. Its kernel acknowledges only after a good part of its buffer
    is read (RFC 9293, section 3.8.6.2.2), which may take as long as the grace for a dead client.
    """
    told = [(e.t, e.data.get("read", e.data["received"])) for e in seen.of("client", "progress")]
    if told and not told[-1][1]:
        return Proof(False, f"the server streamed nothing, or the client read nothing of it: {_ASK}")
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
