"""Derive from a timeline what became of a crowd, and what it cost the server. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from halfopen.model.evidence import Gap, reported_gaps
from halfopen.model.timeline import Event, Timeline
from halfopen.scenario.spec import CROWD, Scenario, Step
from halfopen.verdict.judge import Timing

#: Close codes by which a server ends a session of a live client in an ordinary way: done, going away, service restart
#: (RFC 6455, section 7.4.1, and the registry of IANA).
_ORDINARY = frozenset({1000, 1001, 1012})
#: A gap is one if it is so many times as long as the stream's own gaps before the first fault.
_LONGER = 1.5
#: Seconds by which a client may get the server's close frame after the server ended its side.
_LATE = 1.0
#: Reports of an attempt that opened no session.
FAILURES = ("refused", "unreachable", "unanswered")
#: Counters of the accept queue (halfopen.run.crowd_session).
_OVERFLOWS, _DROPS = "ListenOverflows", "ListenDrops"


@dataclass(frozen=True, slots=True)
class HeldByServer:
    """Resources of the server's processes at one moment."""

    memory: int
    """Resident memory, bytes."""
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class CrowdFindings:
    """Facts about the crowd of one run. Times in seconds since the scenario's start."""

    count: int
    served: int
    """Clients that ever got data."""
    served_at: float | None
    """Moment at which all had got data for the first time; None if some never did."""
    ended: int
    """Sessions whose side the server ended, for any reason, until the crowd left."""
    reaps: int
    """Those of them that were served, and whose clients, and the proxy in front, held on."""
    reaps_per_second: int
    """Most of these in any second."""
    ended_per_second: int
    reaped_at: float | None
    """Moment of the first reap."""
    returned: int
    """Clients that got data over a later connection."""
    gave_up: int
    """Sessions that their clients gave up for want of data."""
    attempts: int
    """Attempts to connect after the first one of each client."""
    attempts_per_second: int
    """Most of these in any second."""
    most_attempts: int
    """The same of one client."""
    failures: dict[str, int]
    """Number of failed attempts by kind (FAILURES)."""
    over_at: float | None
    """End of the last fault; None if there was none."""
    served_again_after: float | None
    """Seconds from there until all had data again; None if there was no fault, or some have none."""
    unserved: int
    """Clients without data at the end."""
    gap: Gap | None
    """The longest time without data of any client; None if it is not known."""
    overflows: int
    """Attempts for which the server's accept queue was full (ListenOverflows)."""
    drops: int
    """Attempts that its kernel dropped for this or another reason (ListenDrops)."""
    most_queued: int
    """Most bytes queued for all clients."""
    before: HeldByServer | None
    """Resources before the crowd came."""
    most: HeldByServer | None
    """Most of each until it left."""
    after: HeldByServer | None
    """Resources once the crowd has left."""
    sockets_left: int | None
    """Sockets of clients in the server's kernel once the crowd has left; None if it is not known."""
    ghosts: int
    """Sessions given up so late that the server may still hold them."""
    looked_until: float


def find_crowd(scenario: Scenario, timeline: Timeline, terms: Timing) -> CrowdFindings:
    """Derive the findings from the timeline of a run, whose clocks count from the subject's start."""
    assert scenario.crowd is not None
    own = timeline.others.get(CROWD, Timeline())
    left = own.first(CROWD, "closing")
    until = left.t if left else max((event.t for event in own.of(CROWD)), default=0.0)
    until_left = own.between(float("-inf"), until)
    spans = list(_spans(scenario, timeline))
    over_at = max((over for _, over in spans), default=None)
    begun_at = min((begun for begun, _ in spans), default=None)
    attempts = _attempts(until_left)
    gaps = _gaps(own, until, begun_at)
    silent = _silences(own)
    first_served = _firsts(until_left.of(CROWD, "served"))
    reaps = list(_reaps_behind_edge(until_left, _downs(timeline)) if scenario.edge else _reaps(until_left))
    ended = [event.t for event in until_left.of("sockets", "ended")]
    later = [gap.begun + gap.seconds for gap in gaps if over_at is not None and gap.begun + gap.seconds > over_at]
    unserved = sum(seconds > _tolerated(gaps, begun_at) for seconds in silent)
    given_up = [event.t for event in until_left.of(CROWD, "ended") if event.data["how"] == "gave_up"]
    return CrowdFindings(
        count=scenario.crowd.count,
        served=len(first_served),
        served_at=max(first_served.values()) if len(first_served) == scenario.crowd.count else None,
        ended=len(ended),
        reaps=len(reaps),
        reaps_per_second=_peak(reaps),
        ended_per_second=_peak(ended),
        reaped_at=min(reaps, default=None),
        returned=sum(event.data["attempt"] > 1 for event in _lasts(until_left.of(CROWD, "served")).values()),
        gave_up=len(given_up),
        attempts=len(attempts),
        attempts_per_second=_peak([event.t for event in attempts]),
        most_attempts=max(Counter(event.data["number"] for event in attempts).values(), default=0),
        failures={name: count for name in FAILURES if (count := len(list(until_left.of(CROWD, name))))},
        over_at=over_at,
        served_again_after=None if over_at is None or unserved else max(later, default=over_at) - over_at,
        unserved=unserved,
        gap=max(gaps, key=lambda gap: gap.seconds, default=None),
        most_queued=max((event.data["outq"] for event in until_left.of("sockets", "sample")), default=0),
        sockets_left=next((event.data["sockets"] for event in own.of("lab", "crowd_left")), None),
        ghosts=sum(t > until - terms.grace - terms.poll for t in given_up),
        looked_until=until,
        **_costs(own, timeline.between(float("-inf"), until)),
    )


def crowd_observed_until(scenario: Scenario, terms: Timing) -> float:
    """Return the moment, in seconds from the start, until which the crowd has to be observed."""
    assert scenario.crowd is not None
    ends = [
        terms.seconds(step.at) + (0.0 if step.lasting is None else terms.seconds(step.lasting))
        for step in scenario.steps
        if strikes_crowd(step)
    ]
    within = scenario.crowd.expect.all_served_within
    return max(ends, default=0.0) + (0.0 if within is None else terms.seconds(within))


def strikes_crowd(step: Step) -> bool:
    """True if a step strikes the crowd, its link or, with it, every client of the server."""
    return step.on == CROWD or getattr(step.module, "STRIKES", "client") == "server"


def _spans(scenario: Scenario, timeline: Timeline) -> Iterator[tuple[float, float]]:
    """Yield the begin and the end of each fault that struck the crowd; without an end, it ends as it begins."""
    of_server = {step.fault for step in scenario.steps if strikes_crowd(step) and step.on != CROWD}
    own = timeline.others.get(CROWD, Timeline())
    for part, names in ((own, None), (timeline, of_server)):
        for begun in part.of("fault", "begun"):
            if names is None or begun.data["fault"] in names:
                undone = (event for event in part.of("fault", "undone") if event.data["step"] == begun.data["step"])
                yield begun.t, next((event.t for event in undone), begun.t)


def _attempts(own: Timeline) -> list[Event]:
    """Return each client's attempts to connect after its first."""
    return [event for event in own.of(CROWD, "connecting") if event.data["attempt"] > 1]


def _firsts(events: Iterable[Event]) -> dict[int, float]:
    moments: dict[int, float] = {}
    for event in events:
        moments.setdefault(event.data["number"], event.t)
    return moments


def _lasts(events: Iterable[Event]) -> dict[int, Event]:
    return {event.data["number"]: event for event in events}


def _reaps(own: Timeline) -> Iterator[float]:
    """Yield the moment of each end by the server of a session that was served, and whose client still held on."""
    by_port: dict[int, list[Event]] = defaultdict(list)
    for event in own.of(CROWD, "opened"):
        by_port[event.data["local"][1]].append(event)
    served = {_session(event) for event in own.of(CROWD, "served")}
    over = {_session(event): event.t for event in own.of(CROWD, "ended")}
    codes = {_session(event): event.data["code"] for event in own.of(CROWD, "close_received")}
    for end in own.of("sockets", "ended"):
        opened = [event for event in by_port[end.data["port"]] if event.t <= end.t]
        session = _session(opened[-1]) if opened else None
        if session not in served or codes.get(session) in _ORDINARY:
            continue
        if over.get(session, end.t) >= end.t:
            yield end.t


def _downs(timeline: Timeline) -> list[float]:
    """Return the moments from which the proxy in front was being ended. It is noted once the proxy is gone."""
    begun = [event.t for event in timeline.of("fault", "begun")]
    return [max((t for t in begun if t <= down.t), default=down.t) for down in timeline.of("fault", "edge_down")]


def _reaps_behind_edge(own: Timeline, downs: list[float]) -> Iterator[float]:
    """Yield the moment of each end that neither the proxy nor a client began.

    The server's sockets lead to the proxy, so none is known to be a certain client's. Each client that gave up, and
    each goodbye of the server, accounts for one end after it.
    """
    served = {_session(event) for event in own.of(CROWD, "served")}
    goodbyes = [
        event.t - _LATE
        for event in own.of(CROWD, "close_received")
        if event.data["code"] in _ORDINARY or _session(event) not in served
    ]
    given_up = [event.t for event in own.of(CROWD, "ended") if event.data["how"] == "gave_up"]
    others = sorted([*goodbyes, *given_up])
    for end in own.of("sockets", "ended"):
        if any(end.t - end.data["lasted"] <= down <= end.t for down in downs):
            continue
        if others and others[0] <= end.t:
            others.pop(0)
        else:
            yield end.t


def _session(event: Event) -> tuple[int, int]:
    return event.data["number"], event.data["attempt"]


def _gaps(own: Timeline, until: float, begun_at: float | None) -> list[Gap]:
    """Return the gaps that are longer than the stream's own."""
    gaps = reported_gaps(own, CROWD)
    gaps += [Gap(until - seconds, seconds) for seconds in _silences(own)]
    tolerated = _tolerated(gaps, begun_at)
    return [gap for gap in gaps if gap.seconds > tolerated and gap.begun < until]


def _tolerated(gaps: Iterable[Gap], begun_at: float | None) -> float:
    """Return the seconds of silence that the stream has by itself, as seen before the first fault."""
    before = [gap.seconds for gap in gaps if begun_at is not None and gap.begun + gap.seconds <= begun_at]
    return _LONGER * max(before, default=0.0)


def _silences(own: Timeline) -> list[float]:
    """Return the seconds since the last data of the clients that had none for a while as the crowd left."""
    standing = own.first(CROWD, "standing")
    return [] if standing is None else [seconds for _, seconds in standing.data["silent"]]


def _peak(moments: list[float]) -> int:
    """Return the most of these moments in any one second."""
    moments = sorted(moments)
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] < moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _costs(own: Timeline, timeline: Timeline) -> dict[str, Any]:
    costs = {event.data["when"]: event.data for event in own.of("lab", "crowd_cost")}
    held = {when: HeldByServer(data["rss"], data["files"], data["threads"]) for when, data in costs.items()}
    before, during = held.get("before"), held.get("during")
    readings = [HeldByServer(s.rss, s.files, s.threads) for s in timeline.processes] + ([during] if during else [])
    fields = [field.name for field in dataclasses.fields(HeldByServer)]
    most = {name: max((getattr(reading, name) for reading in readings), default=0) for name in fields}
    counters = [costs.get(when) for when in ("before", "during")]

    def grown(name: str) -> int:
        first, last = counters
        return int(last[name] - first[name]) if first and last else 0

    return {
        "before": before,
        "most": HeldByServer(**most) if readings else None,
        "after": held.get("after"),
        "overflows": grown(_OVERFLOWS),
        "drops": grown(_DROPS),
    }
