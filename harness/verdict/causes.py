"""The likely cause of a session's end, by rules over its timeline and the server's profile. Pure.

A rule is a function of the evidence. It returns a sentence if all of the evidence fits, and None otherwise. The first
rule of RULES that speaks is believed, so rules with the most specific evidence come first. If none speaks, nothing is
claimed. A cause that the evidence does not prove is called likely.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from itertools import chain, pairwise

from halfopen.model import server_output
from halfopen.model.profile import STREAM_PAUSE, Profile
from halfopen.model.timeline import Event, Timeline
from halfopen.netns.units import show_duration
from halfopen.verdict import ends
from halfopen.verdict.ends import SessionEnd
from halfopen.verdict.findings import MANDATORY_EXTENSION, POLICY_VIOLATION, UNEXPECTED_CONDITION, Findings

#: Seconds by which an end may be late: a server's timers, its poll, and the sampling.
_LATE = 1.0
#: Seconds by which it may be early: a timer may have begun before the last sample of the moment that it counts from.
_EARLY = 0.3
#: Seconds within which a server that wants a first message, and gets none, ends the session.
_SOON = 15.0
#: Seconds by which a timeout of unknown origin may differ from a usual one, so that few coincide by chance.
_CLOSE = 0.4
#: Seconds by which the onset of a stall may be seen late. A deadline of a write never ends early.
_ONSET = 0.1
#: Most parts of messages with which a server greets a client that has yet to say who it is.
_GREETINGS = 5
#: Close codes that blame nothing (RFC 6455, section 7.4.1).
_ORDINARY = (None, 1000, 1001, 1005)
#: Most lengths of the timeouts that people configure, in seconds.
_USUAL = (5, 10, 15, 20, 25, 30, 40, 45, 50, 60, 75, 90, 100, 120, 180, 240, 300, 350, 600, 900, 1800, 3600)
#: Defaults of idle timeouts, in seconds, and where they come from.
_IDLE_DEFAULTS = {
    60: "nginx's proxy_read_timeout, and of an AWS ALB",
    300: "Envoy's stream_idle_timeout",
    350: "an AWS NLB",
}
#: Exceptions that report the end of a connection. They are its effect, not its cause.
_EFFECTS = re.compile(
    "Connection(Reset|Aborted|Closed|Lost)|BrokenPipe|Disconnect|Cancelled|IncompleteRead|EndOfStream|"
    "(Closed|Broken)Resource|ECONNRESET|EPIPE|keepalive ping timeout|(WebSocket|Stream|Channel|Transport)Closed|"
    "after sending 'websocket\\.close'|once a close message has been sent|closing transport|WebSocket is not open|"
    "write after end|broken pipe|connection reset by peer|closed network connection|close sent"
)
_PING = re.compile("ping|pong|heartbeat|keep-?alive", re.IGNORECASE)
_KERNEL_GAVE_UP = re.compile(r"ETIMEDOUT|Errno 110\b|[Cc]onnection timed out")

Rule = Callable[[SessionEnd], str | None]


def cause(timeline: Timeline, found: Findings, profile: Profile | None = None) -> str | None:
    """Return the likely cause of the end of a session, in a sentence; None if the session is held or no rule fits."""
    seen = SessionEnd(timeline, found, profile)
    return next((sentence for rule in RULES if (sentence := rule(seen)) is not None), None)


def crash(seen: SessionEnd) -> str | None:
    """The server's process ended."""
    exited = seen.timeline.first("target", "exited")
    ended = exited or ends.fatal(seen.timeline, seen.found)
    if ended is None or ended.t > seen.ended_at + _LATE:
        return None
    code = None if exited is None else exited.data.get("code")
    if code is None:
        how = "ended"
    elif code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        how = f"was killed by {_signal(number)}" + (" (by the kernel, for want of memory?)" if number == 9 else "")
    else:
        how = f"ended with exit code {code}"
    raised = ends.last_words(seen.timeline, ended)
    return f"the server's process {how}" + (f" after {raised}" if raised else "")


def proxy(seen: SessionEnd) -> str | None:
    """A proxy in between logged that it ended the session."""
    return _logged(seen, _ENDED_BY_PROXY)


def behind_proxy(seen: SessionEnd) -> str | None:
    """A proxy in between logged that the server behind it ended the session."""
    return _logged(seen, _ENDED_BEHIND_PROXY)


#: Lines of proxies that say why they ended a session (ngx_http_upstream.c; HAProxy's configuration manual, 8.5).
_ENDED_BY_PROXY = (
    (
        r"upstream timed out .* while (connecting|sending request|reading response header)",
        "{proxy} gave up: the server behind it did not answer the request",
    ),
    (
        "upstream timed out",
        "{proxy} ended the session: the server behind it had sent nothing for {waited}, its proxy_read_timeout",
    ),
    ("client timed out", "{proxy} ended the session: the client took in nothing (its send_timeout)"),
    (
        r"connect\(\) failed \(111: Connection refused\)",
        "nothing listens behind {proxy}: the server there has ended, or was not ready yet",
    ),
    ("termination [cs]D", "{proxy} ended the session: nothing came for {waited}, its timeout tunnel"),
    ("termination s[CH]", "{proxy} ended the session: the server behind it did not answer"),
)
_ENDED_BEHIND_PROXY = (
    (
        "upstream prematurely closed connection|termination S[DHC]",
        "the server behind {proxy} ended the connection ({proxy} said: {quote!r})",
    ),
)


def _logged(seen: SessionEnd, sentences: Sequence[tuple[str, str]]) -> str | None:
    """Return the sentence for the first line near the end that fits one."""
    until = seen.ended_at if seen.found.ended_at is not None else seen.found.looked_until
    for line in server_output.of_proxies(seen.timeline, until):
        for pattern, sentence in sentences:
            if (match := re.search(pattern, line.text)) is not None:
                waited = _rounded(until - seen.sent_at)
                return sentence.format(proxy=line.proxy, quote=match[0], waited=waited)
    return None


def refused_by_code(seen: SessionEnd) -> str | None:
    """The code of the close frame says what the server lacks (RFC 6455, section 7.4.1; 4000-4999 are applications')."""
    if seen.closed is None:
        return None
    code = seen.closed.data.get("code")
    if code == MANDATORY_EXTENSION:
        return "the server wants an extension; to offer permessage-deflate, set compression = true in [client]"
    if code == 1009:
        return "a message was larger than the server takes (in websockets max_size, in other servers a similar limit)"
    if code in (1002, 1003, 1007):
        return "the server rejected what the client sent (--send, acknowledge, replies in the target file)"
    if code in (1012, 1013):
        return "the server restarts, or is too busy"
    if re.search(r"sub-?protocol", _reason(seen.closed), re.IGNORECASE):
        return (
            f"likely the server wants a subprotocol (--subprotocol): it closed with {ends.code_and_reason(seen.closed)}"
        )
    if ends.denies(seen.closed):
        if _was_streaming(seen):
            return f"the server withdrew the session ({ends.code_and_reason(seen.closed)})"
        return _WANTS if not seen.has_heard_messages else _WANTS_ANOTHER
    return _WANTS if code == POLICY_VIOLATION and not _has_streamed(seen) else None


_WANTS = "likely the server wants a token or a first message from its clients (--send, --header, --path, --subprotocol)"
_WANTS_ANOTHER = "likely the server wants another token or message from its clients (--send, --header, --path)"


def handler_raised(seen: SessionEnd) -> str | None:
    """A traceback in the server's output names a new exception that is not the end of the connection itself."""
    if seen.found.ended_at is None:
        return None
    is_plain = seen.closed is None or seen.closed.data.get("code") == UNEXPECTED_CONDITION
    for raised in server_output.new_exceptions(seen.timeline, seen.ended_at):
        if not _EFFECTS.search(raised) and not _KERNEL_GAVE_UP.search(raised):
            return f"the server raised {raised}" if is_plain else f"likely an exception in the server: {raised}"
    if seen.closed is not None and seen.closed.data.get("code") == UNEXPECTED_CONDITION and not _names_ping(seen):
        return "likely an exception in the server: code 1011 is for an unexpected condition"
    return None


def _names_ping(seen: SessionEnd) -> bool:
    return seen.closed is not None and bool(_PING.search(_reason(seen.closed)))


def is_of_application(timeline: Timeline) -> bool:
    """True if the close frame is the application's own: by its code (RFC 6455, section 7.4.2), or by its reason."""
    closed = ends.close_frame(timeline)
    if closed is None:
        return False
    code, reason = closed.data.get("code"), _reason(closed)
    is_its_reason = bool(reason) and code in (1000, 1001, POLICY_VIOLATION, 1013)
    return not _PING.search(reason) and (is_its_reason or (code is not None and 4000 <= code <= 4999))


def kernel_keepalive(seen: SessionEnd) -> str | None:
    """SO_KEEPALIVE: nothing was queued, the client was silent for the whole time, and the socket went without a FIN."""
    idle, interval, count = (seen.limits.get(f"keepalive_{name}") for name in ("idle", "interval", "count"))
    if idle is None or interval is None or count is None or not _kernel_may_have_ended_it(seen):
        return None
    if seen.samples[-1].outq or seen.heard_at is None:
        return None
    limit = seen.limits.get("user_timeout") or idle + interval * count
    if not _fits(seen.ended_at - max(seen.heard_at, _acknowledged_at(seen)), limit):
        return None
    return (
        f"the server's kernel gave up (ETIMEDOUT): {show_duration(limit)} after the client's last packet, as its "
        f"SO_KEEPALIVE is set (TCP_KEEPIDLE {idle:g}s, {count} probes every {interval:g}s)"
    )


def user_timeout(seen: SessionEnd) -> str | None:
    """TCP_USER_TIMEOUT: bytes were queued that long, and the socket went without a FIN (tcp(7))."""
    limit, stall = seen.limits.get("user_timeout"), seen.stall
    if limit is None or stall is None or not _kernel_may_have_ended_it(seen):
        return None
    if not _fits(seen.ended_at - stall.onset, limit, late=max(_LATE, limit / 4)):
        return None
    waited = _rounded(seen.ended_at - stall.onset)
    return (
        f"the server's kernel gave up (ETIMEDOUT): nothing was acknowledged for {waited}, and "
        f"TCP_USER_TIMEOUT is {show_duration(limit)}"
    )


def retransmissions(seen: SessionEnd) -> str | None:
    """The server itself says that its kernel gave up, and no limit was set: net.ipv4.tcp_retries2 (tcp(7))."""
    stall = seen.stall
    if stall is None or seen.limits.get("user_timeout") or not _kernel_may_have_ended_it(seen):
        return None
    if seen.said(_KERNEL_GAVE_UP) is None or not seen.samples[-1].backoff:
        return None
    return "the server's kernel gave up (ETIMEDOUT) after its last retransmission (net.ipv4.tcp_retries2)"


def _kernel_may_have_ended_it(seen: SessionEnd) -> bool:
    return seen.found.ended_at is not None and seen.is_reset and seen.closed is None and bool(seen.samples)


def send_timeout(seen: SessionEnd) -> str | None:
    """SO_SNDTIMEO: the server could write nothing more for that long (socket(7))."""
    limit, stall = seen.limits.get("send_timeout"), seen.stall
    if limit is None or stall is None or seen.found.ended_at is None:
        return None
    if not _fits(seen.ended_at - seen.sent_at, limit) and not _fits(seen.ended_at - stall.onset, limit):
        return None
    return f"likely a send that waited for {show_duration(limit)}, the SO_SNDTIMEO of the server's socket"


def answered_close(seen: SessionEnd) -> str | None:
    """The client closed first, or its kernel did when its process ended, and the server followed."""
    if seen.found.ended_at is None:
        return None
    before = [event for event in seen.timeline.of("client", "closing", "half_closed") if event.t <= seen.ended_at]
    if before:
        waited = _rounded(seen.ended_at - before[0].t)
        what = "close frame" if before[0].name == "closing" else "FIN"
        return f"the server answered the client's {what}, {waited} after it"
    passive = next((s for s in seen.samples if s.state == "CLOSE_WAIT"), None)
    if passive is None:
        return None
    return f"the server answered the FIN of the client's kernel, {_rounded(seen.ended_at - passive.t)} after it"


def missed_pong(seen: SessionEnd) -> str | None:
    """Pings: the client was last heard one interval and one timeout before the end."""
    if seen.found.ended_at is None or seen.found.reason is not None or seen.heard_at is None:
        return None
    since = _rounded(seen.ended_at - seen.heard_at)
    last = "the last pong" if seen.last_pong_at is not None else _last_heard(seen)
    if _names_ping(seen):
        if seen.last_pong_at is not None and not seen.samples[-1].outq and not seen.has_sent_since_heard:
            return (
                f"likely the server itself was busy: it says that it missed a pong, but in the {since} after {last} "
                "it had sent no ping"
            )
        return f"the server missed a pong: it ended the session {since} after {last}{_typical(seen)}"
    if seen.closed is not None or (seen.is_reset and not seen.samples[-1].outq and seen.small_sends == ()):
        return None
    if not (typical := _typical(seen)):
        return None
    reset = ", without a reset" if seen.is_finished else ", with a reset" if seen.is_reset else ""
    return f"likely missed pongs: {since} after {last}{reset}{typical}"


def _last_heard(seen: SessionEnd) -> str:
    if seen.has_heard_messages:
        return "the last message"
    return "the handshake" if (seen.heard_at or 0.0) < _LATE else "the last data from the client"


def _typical(seen: SessionEnd) -> str:
    """Return whose timeouts the end fits, as the end of a sentence; empty if nobody's."""
    assert seen.heard_at is not None
    silence = seen.ended_at - seen.heard_at
    every = None if seen.profile is None else seen.profile.pings_every
    sends = [moment for moment in seen.small_sends if moment < seen.ended_at - _EARLY]
    is_pinging = seen.profile is None or _names_ping(seen)
    if every is None and is_pinging and (pings := sends[:-1] if seen.closed is not None else sends):
        every = pings[0] - seen.heard_at
    if every is None or every < 1.0:
        return ""
    is_usual = abs(every - 20) <= _LATE
    if is_usual and _fits(silence, 40):
        return ": typical of websockets' ping_timeout (20s after a ping, and a ping every 20s)"
    if is_usual and _fits(silence, 50):
        return (
            ": typical of websockets' ping_timeout (a ping every 20s, 20s for its pong, 10s for the answer to a close)"
        )
    rest = silence - every
    if _fits(rest, every / 2):
        return f": typical of a heartbeat every {_rounded(every)} that waits half as long for its pong, as aiohttp's"
    if _fits(rest, every):
        return f": typical of a heartbeat every {_rounded(every)} that ends who missed the last one, as in Node's ws"
    usual = _usual(rest)
    return "" if usual is None else f": typical of a ping every {_rounded(every)} and a ping timeout of {usual}s"


def write_deadline(seen: SessionEnd) -> str | None:
    """The server waited to write for a round number of seconds."""
    stall = seen.stall
    if stall is None or seen.found.ended_at is None or seen.found.reason is not None or seen.closed is not None:
        return None
    if max(sample.outq for sample in stall.samples) <= ends.CONTROL_FRAME:
        return None  # so few bytes stop no write
    blocked, waited = seen.ended_at - seen.sent_at, seen.ended_at - stall.onset
    for seconds, since in (
        (blocked, "the last byte that the server could write"),
        (waited, "the first byte was queued"),
    ):
        if (usual := _usual(seconds, early=_ONSET)) is not None:
            return f"{_rounded(seconds)} after {since}: likely a write deadline, or a watchdog, of {usual}s"
    return None


def idle_timeout(seen: SessionEnd) -> str | None:
    """Nothing was queued, and one or both sides had sent nothing for a round number of seconds."""
    if seen.found.ended_at is None or seen.heard_at is None or seen.found.reason is not None:
        return None
    if seen.samples[-1].outq or not _may_be_idleness(seen.closed):
        return None
    both, heard = seen.ended_at - max(seen.heard_at, seen.sent_at), seen.ended_at - seen.heard_at
    of_client, of_both = _longest_silence(seen.heard_moments), _longest_silence(seen.heard_moments, seen.sent_moments)
    rules = [(both, "the last data either way", of_both, _outlived_silence(seen.profile))]
    if not any(abs(heard - beat) <= _LATE for beat in _beats(seen)):
        rules.append((heard, "the last received data", of_client, _outlived_its_client(seen.profile)))
    for seconds, what, earlier, outlived in rules:
        usual = _usual(seconds)
        if usual is None or outlived >= usual + _LATE or earlier >= usual - _EARLY:
            continue
        default = f": typical of {_IDLE_DEFAULTS[usual]}" if usual in _IDLE_DEFAULTS else ""
        return f"{_rounded(seconds)} after {what}: likely an idle timeout of {usual}s{default}"
    return None


def _longest_silence(*moments: Sequence[float]) -> float:
    """Return the longest time between two of these moments that follow each other, in seconds."""
    return max((after - before for before, after in pairwise(sorted(chain(*moments)))), default=0.0)


def _beats(seen: SessionEnd) -> list[float]:
    """Return the seconds between pings, as the profile and the session show them. A client speaks at each ping."""
    pings = [event.t for event in seen.timeline.of("client", "ping_received")]
    known = None if seen.profile is None else seen.profile.pings_every
    return [*([known] if known else []), *({round(after - before, 1) for before, after in pairwise(pings)})]


def _may_be_idleness(closed: Event | None) -> bool:
    """True for an end without a reason, or with one that speaks of time."""
    if closed is None or (closed.data.get("code") in _ORDINARY and not _reason(closed)):
        return True
    return bool(re.search(r"idle|inactiv|time[d ]?-?out", _reason(closed), re.IGNORECASE))


def _outlived_silence(profile: Profile | None) -> float:
    """Return the longest silence of both sides, in seconds, in an undisturbed session that the server kept."""
    is_known = profile is not None and profile.ended_at is None and not profile.pings
    return profile.longest_pause if profile is not None and is_known else 0.0


def _outlived_its_client(profile: Profile | None) -> float:
    """Return the seconds for which the server kept an undisturbed session whose client said nothing of its own."""
    return 0.0 if profile is None or profile.ended_at is not None or profile.pings else profile.observed


def wants_speech(seen: SessionEnd) -> str | None:
    """The server ended the session soon after the handshake, before it sent a message and before its client spoke."""
    if seen.found.ended_at is None or seen.ended_at > _SOON or seen.found.spans:
        return None
    if _has_streamed(seen) or seen.has_heard_messages or seen.found.reason is not None:
        return None
    return f"{_rounded(seen.ended_at)} after the handshake, and the client had said nothing: {_WANTS}"


RULES: tuple[Rule, ...] = (
    crash,
    proxy,
    refused_by_code,
    handler_raised,
    kernel_keepalive,
    user_timeout,
    retransmissions,
    answered_close,
    wants_speech,
    send_timeout,
    missed_pong,
    write_deadline,
    idle_timeout,
    behind_proxy,
)


def _has_streamed(seen: SessionEnd) -> bool:
    """True if the client got any part of a message."""
    return any(event.data.get("received") for event in seen.timeline.of("client", "progress"))


def _was_streaming(seen: SessionEnd) -> bool:
    """True if parts of messages came again and again until the end: a server that greets its clients sends once."""
    counts = [(event.t, event.data.get("received", 0)) for event in seen.timeline.of("client", "progress")]
    came = [after[0] for before, after in pairwise([(0.0, 0), *counts]) if after[1] > before[1]]
    return len(came) > _GREETINGS and seen.ended_at - came[-1] <= STREAM_PAUSE


def _reason(closed: Event) -> str:
    return str(closed.data.get("reason") or "")


def _acknowledged_at(seen: SessionEnd) -> float:
    last = seen.samples[-1]
    return last.t - last.last_ack_recv / 1000


def _fits(seconds: float, limit: float, late: float = _LATE) -> bool:
    """True if a timeout of ``limit`` seconds ends after so many."""
    return -_EARLY <= seconds - limit <= late


def _usual(seconds: float, early: float = _CLOSE) -> int | None:
    """Return the configured timeout that so many seconds fit, closely, since many numbers are near one."""
    return next((limit for limit in _USUAL if -early <= seconds - limit <= _CLOSE), None)


def _rounded(seconds: float) -> str:
    return show_duration(round(max(0.0, seconds), 1))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
