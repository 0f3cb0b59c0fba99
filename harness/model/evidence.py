"""What samples prove. All functions are pure: a timeline in, a finding out."""

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

#: What to do about a server that streams nothing.
_ASK = "does it want to be asked first (--send)?"
#: Gaps between acknowledgements below this are the sampling's, seconds.
_WORTH_TELLING = 0.1
#: A silence that no server's slow stream need explain, seconds.
_SHORT_SILENCE = 5.0
#: A path that is dark for less is not seen to be, seconds; and what is under way when it goes dark may still arrive.
_SHORTEST_DARK, _UNDER_WAY = 0.5, 2.0
#: The shortest stall that is taken for one, seconds: many times the lab's round trip.
_SHORTEST_STALL = 0.5
#: A probe's answer takes less, seconds.
_ANSWERED_WITHIN = 1.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether something was shown to have happened, and the sentence that says by what."""

    shown: bool
    what: str


@dataclass(frozen=True, slots=True)
class Stall:
    """A stretch in which bytes were queued and the peer acknowledged none."""

    onset: float
    """When the peer's last byte was acknowledged while bytes were queued, or the first byte was queued after it."""
    until: float
    samples: tuple[Sample, ...]
    goes_on: bool = False
    """Whether it was not over with the last sample."""

    @property
    def seconds(self) -> float:
        """How long it was seen to last."""
        return self.until - self.onset


def established(timeline: Timeline) -> tuple[Sample, ...]:
    """The samples taken while the server had its side open: nothing that is seen after the end counts."""
    until_end = takewhile(lambda s: s.state not in ENDED_STATES, timeline.samples)
    return tuple(s for s in until_end if s.state in ALIVE_STATES)


def stalls(samples: Sequence[Sample]) -> Iterator[Stall]:
    """Every stretch without progress, in order. Progress is an acknowledged byte or an empty queue."""
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
    """When the acknowledgement first seen in ``sample`` arrived: the kernel says how long ago, to a jiffy."""
    arrived = sample.t - sample.last_ack_recv / 1000
    return max(arrived, previous.t) if previous else sample.t


def longest_stall(samples: Sequence[Sample]) -> Stall | None:
    """The longest stretch without progress, None if there was none."""
    return max(stalls(samples), key=lambda stall: stall.seconds, default=None)


def last_stall(samples: Sequence[Sample]) -> Stall | None:
    """The stretch without progress in which the samples end, None if they end otherwise."""
    return next((stall for stall in stalls(samples) if stall.goes_on), None)


def acknowledged(samples: Sequence[Sample]) -> int:
    """Bytes acknowledged between the first and the last sample."""
    known = [s.bytes_acked for s in samples if s.bytes_acked is not None]
    return known[-1] - known[0] if known else 0


def allowed_silence(seconds: float) -> float:
    """How long a slow stream may say nothing, of so many seconds looked at."""
    return max(_SHORT_SILENCE, seconds / 4)


def longest_silence(samples: Sequence[Sample]) -> float:
    """The longest time in which nothing was delivered to the peer's kernel, whether or not any byte was queued.

    What arrives past a gap is acknowledged selectively (RFC 2018): tcpi_delivered counts it, tcpi_bytes_acked
    stands still until the gap is filled, which takes half a minute on the slowest links.
    """
    return _longest_standstill([(s.t, (s.bytes_acked, s.delivered)) for s in samples])


def _longest_standstill(told: Sequence[tuple[float, object]]) -> float:
    """The longest time in which what was told of at these moments did not change."""
    last, longest = told[0][0], 0.0
    for (_, before), (t, after) in pairwise(told):
        last = t if after != before else last
        longest = max(longest, t - last)
    return longest


def peer_acknowledges(seen: Timeline) -> Proof:
    """Whether the peer acknowledged bytes all along, and the longest wait for one while bytes were queued."""
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
    """How far acknowledgements were apart at most, where that is worth telling."""
    longest = longest_stall(samples)
    if longest is None or longest.seconds < _WORTH_TELLING:
        return ""
    return f", at most {show_duration(longest.seconds)} apart"


def window_closed(seen: Timeline) -> Proof | None:
    """Whether the stall in which the samples end is a closed window before a live kernel; None without one."""
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
    """Whether no packet came from the peer any more, and what was sent to it, if anything was, got no answer.

    tcpi_last_ack_recv grows with every second in which none comes, retransmissions and unanswered probes tell that
    something was sent (net/ipv4/tcp_timer.c). Where nothing was sent, that none could come is for the fault to show.
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
    """Whether the client's process read bytes all along, and its kernel acknowledged some.

    For a client that reads slower than the server sends: its kernel acknowledges only once a good part of its
    buffer is read (RFC 9293, section 3.8.6.2.2), which may take as long as a client is dead.
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
    """Shown if all are; says all of it, or what is lacking."""
    lacking = [proof.what for proof in proofs if not proof.shown]
    if lacking:
        return Proof(False, "; ".join(lacking))
    return Proof(True, ", ".join(proof.what for proof in proofs))
