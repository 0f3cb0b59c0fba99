"""The words for a run: verdicts, faults, events, sockets, expectations and durations. Pure.

The terminal, pytest, GitHub, results.json, the report and ``halfopen repro`` take their words from here. Only the
sentence of a verdict is made together with the verdict (halfopen.verdict.judge).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.netns import units
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import BYSTANDERS, CROWD, SUBJECT, Expect, Scenario, Step
from halfopen.verdict import judge
from halfopen.verdict.findings import Findings
from halfopen.verdict.judge import Timing

#: An entry of ``runs`` in results.json. In files of older versions any key may be missing.
Run = Mapping[str, Any]


class Standing(NamedTuple):
    """The mark, the words, and the colour of a verdict, or of a known failure."""

    mark: str
    words: str
    colour: str
    emoji: str


STANDINGS = {
    "passed": Standing("✓", "passed", "green", "✅"),
    "failed": Standing("✗", "failed", "red", "❌"),
    "inconclusive": Standing("?", "inconclusive", "yellow", "⚠️"),
    "not_applicable": Standing("-", "not applicable", "dim", "⚪"),
    "known": Standing("✗", "known failure", "dim", "☑️"),
}


def standing_words(standing: str, number: int) -> str:
    """The words for this number of runs: ``known failures``."""
    return STANDINGS[standing].words + ("s" if standing == "known" and number != 1 else "")


def left_out(number: int) -> str:
    """The words for this number of scenarios that were not run."""
    return f"{number} left out"


LETTERS = {
    "true_reap": "r",  # replaced by the number of seconds if there is one
    "missed": "M",
    "false_reap": "F",
    "true_keep": "k",
    "closed": "c",
    "refused": "d",
    "not_opened": "N",
}
#: What a cell can hold, and its meaning, in rows and columns.
LEGEND_ENTRIES = (
    (("31", "true reap, 31 seconds after the stall began"), ("k", "true keep"), ("M", "missed")),
    (("31'", "the same, counted from the fault"), ("c", "closed"), ("F", "false reap")),
    (("!", "failed: too late, or not completely over"), ("N", "not opened"), ("?", "inconclusive")),
    (("-", "not applicable: the server does not do what the scenario needs"),),
    (("d", "denied: the server refused the client, as expected"),),
)
LEGEND = tuple(
    "".join(
        f"{cell:<{a}} {text:<{b}}" for (cell, text), a, b in zip(row, (3, 2, 2), (45, 12, 0), strict=False)
    ).rstrip()
    for row in LEGEND_ENTRIES
)


def cell(run: Run) -> str:
    """A run as a table cell of at most five characters: right results are lower-case or a number, wrong ones not."""
    klass = run.get("class")
    if run["verdict"] in {"inconclusive", "not_applicable"}:
        return STANDINGS[run["verdict"]].mark
    if klass not in LETTERS:
        return "!"
    text = LETTERS[klass]
    if klass == "true_reap":
        from_fault = run["latency_from"] == "fault" if run.get("latency_from") else run.get("detection_s") is None
        latency = run.get("after_fault_s" if from_fault else "detection_s")
        text = text if latency is None else f"{latency:.0f}{chr(39) if from_fault else ''}"
    return text + ("!" if run["verdict"] == "failed" and klass not in ("missed", "false_reap", "not_opened") else "")


class RunRow(NamedTuple):
    """The cells of a run in a table."""

    client: str
    session: str
    reason: str
    detected: str
    stuck: str


def row(run: Run) -> RunRow:
    """Return the cells of a run in a table."""
    outcome, stuck = run.get("outcome"), run.get("stuck_bytes")
    return RunRow(
        client=str(run.get("truth") or ""),
        session=str(outcome or ("" if run["verdict"] == "not_applicable" else "none")),
        reason=str(run.get("reason") or "") if outcome != "kept" else "",
        detected=seconds(run.get("detection_s")),
        stuck=show_bytes(stuck) if stuck else "",
    )


def headline(table: Mapping[str, Any], compared: str = "", kernel: str = "") -> str:
    """One line with the target and the conditions, from the content of results.json.

    ``compared`` describes a comparison, if it is not of one detector. ``kernel`` is the reason for a guest kernel.
    """
    detector = f", {compared}" if compared else f", detector {table['detector']}" if table.get("detector") else ""
    shard = f", shard {table['shard']}" if table.get("shard") else ""
    return (
        f"halfopen {table.get('halfopen', '')}: {target(table)}{detector}, grace {show_duration(table['grace_s'])}, "
        f"poll {show_duration(table.get('poll_s') or 0)}{shard}; {conditions(table, kernel)}"
    )


def target(table: Mapping[str, Any]) -> str:
    """The server under test."""
    given = table.get("target") or {}
    if "api" in given:
        return f"{given['kind']} ({given['api']})"
    return str(given.get("command") or given.get("image") or given.get("kind") or f"{len(table['targets'])} servers")


def conditions(table: Mapping[str, Any], kernel: str = "") -> str:
    """The clock, the kernel with the reason for it, the congestion control and the seed."""
    reason = f" ({kernel})" if kernel else ""
    control = table.get("congestion_control") or "unknown congestion control"
    return f"{table.get('clock')} clock, Linux {table.get('kernel')}{reason}, {control}; seed {table.get('seed')}"


def anchor(label: str) -> str:
    """Return the part after ``#`` in the address of a run in a report. It is unique to the run's label.

    Letters, digits, dots, dashes, underscores and slashes stay. Anything else becomes its code point, such as ``~20~``,
    since a URL's fragment may not hold it (RFC 3986, section 3.5).
    """
    return re.sub(r"[^A-Za-z0-9._/-]", lambda other: f"~{ord(other[0]):x}~", label)


# Durations.


def seconds(value: float | None) -> str:
    """A measured duration, ``"31.5s"``; empty for None."""
    return "" if value is None else f"{value:.1f}s"


def exactly(value: float) -> str:
    """A duration as an option's value, without rounding."""
    shown = show_duration(value)
    return shown if units.duration(shown) == value else units.plain(value) + "s"


def ago(value: float) -> str:
    """A measured duration within a sentence, to a tenth of a second and never negative."""
    return show_duration(round(max(0.0, value), 1))


# Scenarios.


def topology(scenario: Scenario) -> list[dict[str, str]]:
    """The path from the subject to the server: hosts, and the impairments of the links between them."""
    return _path("client", scenario.link, scenario)


def _path(who: str, link: LinkSpec, scenario: Scenario) -> list[dict[str, str]]:
    hops = [{"host": who}, {"link": str(link)}]
    if scenario.edge is not None:
        hops += [{"host": scenario.edge.proxy}, {"link": "unimpaired"}]
    return [*hops, {"host": "server"}]


def company(scenario: Scenario) -> list[dict[str, Any]]:
    """The paths of the other clients, and the place of each fault on them. Alike clients share one."""
    alike: dict[tuple[str, tuple[str, ...]], tuple[list[str], LinkSpec]] = {}
    for other in scenario.others:
        key = str(other.link), tuple(struck(scenario, other.name))
        alike.setdefault(key, ([], other.link))[0].append(other.name)
    paths = [(names[0], _together(names), link) for names, link in alike.values()]
    if scenario.crowd is not None:
        paths.append((CROWD, f"{CROWD} of {scenario.crowd.count}", scenario.crowd.link))
    return [{"topology": _path(who, link, scenario), "struck": struck(scenario, first)} for first, who, link in paths]


def _together(names: Sequence[str]) -> str:
    """Names in one phrase, ``"4 bystanders"``."""
    if len(names) > 1 and all(name.startswith("bystander-") for name in names):
        return f"{len(names)} {BYSTANDERS}"
    return ", ".join(names)


def drawn(scenario: Scenario) -> str:
    """The path from the subject to the server on one line."""
    return " ".join(hop.get("host") or arrow(hop["link"]) for hop in topology(scenario))


def arrow(link: str) -> str:
    """A link, with its impairments."""
    return "──▶" if link == "unimpaired" else f"──{link}──▶"


def fault(step: Step) -> str:
    """A fault, its effect, and its options."""
    return ", ".join([f"{step.fault}: {getattr(step.module, 'SUMMARY', step.fault)}", *_options(step.options)])


def _options(options: Any) -> Iterator[str]:
    if isinstance(options, LinkSpec):
        yield str(options)
        return
    for field in msgspec.structs.fields(options):
        if (value := getattr(options, field.name)) != field.default:
            yield f"{field.name.replace('_', ' ')} {value}"


def moment(at: Expression, terms: Timing) -> str:
    """A moment of a scenario, ``"5.0s"``."""
    return seconds(terms.seconds(at))


def struck(scenario: Scenario, name: str = SUBJECT) -> dict[str, str]:
    """The place of each fault on a client: itself, unless the fault's module says otherwise (STRIKES).

    The others are ``link`` and ``server``.
    """
    return {step.fault: getattr(step.module, "STRIKES", "client") for step in scenario.steps_on(name)}


def expectation(scenario: Scenario, terms: Timing, found: Findings) -> str:
    """The expected outcome of the session, with the moment from which its deadline counts."""
    expect = scenario.expect
    if expect.session == "kept":
        since = scenario.steps[scenario.judged_from].fault if scenario.steps else "start"
        kept = f"kept for {show_duration(judge.hold(scenario, terms))} after the {since}"
        return ", ".join([kept, *_service(expect, terms)])
    limit = judge.deadline(scenario, terms)
    _, since = judge.counted_from(scenario, found)
    return expect.session + (f" within {show_duration(limit)} of {since}" if limit else "")


def _service(expect: Expect, terms: Timing) -> Iterator[str]:
    if expect.longest_gap is not None:
        yield f"with no gap of more than {show_duration(terms.seconds(expect.longest_gap))} between data"
    if expect.received_at_least is not None:
        yield f"with at least {show_bytes(expect.received_at_least)} received"


# Events and sockets.

_EVENTS = {
    ("client", "connected"): "session open, from {local[0]}:{local[1]}",
    ("client", "closing"): "the client begins to close the session ({code})",
    ("client", "half_closed"): "the client closed its side",
    ("client", "close_received"): "the client received a close frame ({code})",
    ("client", "protocol_error"): "the server broke the WebSocket protocol ({why})",
    ("client", "ended"): "the client's connection ended ({how})",
    ("fault", "begun"): "{fault} is in force",
    ("fault", "undone"): "{fault} is undone",
    ("kernel", "destroyed"): "the kernel destroyed the server's socket ({state}, {outq} bytes queued)",
    ("kernel", "gone"): "the server's socket is gone",
    ("lab", "trouble"): "{what}",
    ("target", "common_outage_held"): "{dark} of {watched} sessions went dark at once: none of them is reaped yet",
    ("target", "common_outage_over"): "the common outage is over, {dark} of {watched} sessions are still dark",
    (
        "target",
        "common_outage_expired",
    ): "{dark} of {watched} sessions are still dark and may be reaped ({dark_s:.1f}s)",
    ("target", "dead_client_reaped"): "the watchdog reaped the client ({reason}, {backlog_bytes} bytes queued)",
    ("target", "exited"): "the server ended by itself (exit code {code})",
    ("target", "session_closed"): "the server ended the session ({reason})",
    ("target", "verdict_held"): "the watchdog would reap now ({reason} for {stall_s:.1f}s), but is held",
    ("target", "verdict_dropped"): "the client shows life: the watchdog would no longer reap it",
}


def event(happened: Event) -> str | None:
    """Return the text of an event; None if it is not worth reporting."""
    text = _EVENTS.get((happened.kind, happened.name))
    if text is None:
        return None
    try:
        return text.format_map(happened.data)
    except (KeyError, ValueError, TypeError):  # the event has other fields than ours
        return text.partition(" (")[0]


#: Meanings of the states of the server's socket.
STATES = {
    "ESTABLISHED": "open both ways",
    "CLOSE_WAIT": "the client closed its side",
    "FIN_WAIT1": "the server closed; its FIN waits",
    "FIN_WAIT2": "the server closed, not the client",
    "LAST_ACK": "both closed; the last FIN waits",
    "CLOSING": "both closed at once",
    "TIME_WAIT": "over, and remembered for a minute",
    "CLOSE": "gone",
}


def queued(outq: int) -> str:
    """The bytes queued in a socket."""
    return f"{show_bytes(outq)} queued" if outq else "nothing queued"


def stalled(outq: int, lasted: float) -> str:
    """A stall that goes on, with the bytes queued and its length in seconds."""
    return f"{queued(outq)}, nothing acknowledged for {ago(lasted)}"


def last_packet(last: Sample) -> str:
    """The time of the client's last packet, relative to this sample."""
    return f"last packet from the client {ago(last.unheard)} before"


def socket(sample: Sample) -> str:
    """The state of the server's socket at one moment."""
    window = "" if sample.snd_wnd is None else f", peer's window {show_bytes(sample.snd_wnd)}"
    acknowledged = f"{show_bytes(sample.bytes_acked or 0)} acknowledged"
    return f"{sample.state}, {queued(sample.outq)}, {acknowledged}{window}, {last_packet(sample)}"


def remains(last: Sample | None, ended_at: float, gone_at: float | None) -> str:
    """Describe the rest of a session that is over.

    ``gone_at`` is when the kernel forgot its socket, None if it has not.
    """
    ended = f"over at {ended_at:.1f}s"
    if last is None or is_gone(last, gone_at):
        return f"{ended}; nothing is left of it in the kernel"
    if not last.outq:
        return f"{ended}; the kernel keeps it in {last.state}, with nothing queued"
    owner = "no process" if last.orphan else "the server"
    return f"{ended}; the kernel keeps {show_bytes(last.outq)} queued in {last.state}, held by {owner}"


def is_gone(last: Sample | None, gone_at: float | None) -> bool:
    """True if the kernel no longer knows the socket."""
    return last is None or last.state == "CLOSE" or (gone_at is not None and last.t <= gone_at)


# A held session.


def watchdog(seen: Timeline, detector: str | None, terms: Timing, now: float, over: float | None) -> str:
    """Describe what the watchdog of a held session does and would do.

    ``detector`` is the pod's, None for another server. ``over`` is when the session ended.
    """
    if detector is None:
        return "the server's own, which cannot be held"
    if detector == "none":
        return "the pod has none"
    if seen.first("target", "watchdog_cannot_be_held"):
        return f"{detector} is not a thread of the pod, so it cannot be held"
    reaped = seen.first("target", "dead_client_reaped")
    if reaped is not None:
        return f"{detector} reaped the client at {reaped.t:.1f}s ({reaped.data.get('reason')})"
    state = seen.last("target", "watchdog_held", "watchdog_released")
    if state is None:
        return f"{detector}, grace {show_duration(terms.grace)}"
    if state.name == "watchdog_released":
        return f"released at {state.t:.1f}s: {detector}, grace {show_duration(terms.grace)}"
    if over is not None:
        return f"held: {detector}; the session is over"
    return f"held: {_held_verdict(seen, detector, terms, now)}; w releases it"


def _held_verdict(seen: Timeline, detector: str, terms: Timing, now: float) -> str:
    verdict = seen.last("target", "verdict_held", "verdict_dropped")
    if verdict is None:
        return f"{detector}, grace {show_duration(terms.grace)}, no verdict yet"
    if verdict.name == "verdict_dropped":
        return f"{detector} withdrew its verdict at {verdict.t:.1f}s"
    since = show_duration(round(max(0.0, now - verdict.t)))
    return f"{detector} would have reaped {since} ago ({verdict.data.get('reason')})"


def status(answer: Mapping[str, object], now: float) -> str:
    """Describe the server's own view of the session when asked; empty if it says nothing."""
    facts = [str(answer["problem"])] if "problem" in answer else []
    for key, (yes, no) in _STATUS.items():
        if key in answer:
            facts.append(yes if answer[key] else no)
    return f"asked at {now:.1f}s: {', '.join(facts)}" if facts else ""


_STATUS = {
    "listed": ("session listed", "session not listed"),
    "lock_held": ("seat taken", "seat free"),
    "healthy": ("health check passing", "health check failing"),
}
