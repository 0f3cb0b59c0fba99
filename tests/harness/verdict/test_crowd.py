"""The findings on a crowd, and the verdict on its treatment, from hand-written timelines."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from halfopen.faults import cut
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Event, Timeline
from halfopen.scenario.scenario_file import parse
from halfopen.scenario.spec import CROWD, Scenario
from halfopen.verdict.crowd import CrowdFindings, crowd_observed_until
from halfopen.verdict.crowd_verdict import CrowdVerdict, judge_crowd, sentences
from halfopen.verdict.judge import Timing
from tests.harness.lines import event, held, line

TERMS = Timing(grace=10, poll=2)
COUNT = 4
#: Begin and end of the outage, and the moment at which the crowd leaves.
BEGUN, OVER, END = 5.0, 15.0, 40.0
TEXT = """
title = "A title"
story = "A story."
truth = "alive"
client = "acking"
[crowd]
count = 4
{expect}
{edge}
[[step]]
at = "5s"
for = "10s"
{fault}
[expect]
session = "kept"
"""
CUT = 'fault = "cut"\non = "crowd"'


@pytest.fixture(autouse=True)
def proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the outage as shown; the signature has tests of its own."""
    monkeypatch.setattr(cut, "signature", lambda _: Proof(True, "dark"))


def scenario(expect: str = "", *, fault: str = CUT, edge: str = "") -> Scenario:
    text = TEXT.format(expect=f"[crowd.expect]\n{expect}", fault=fault, edge=edge)
    return parse(text, name="x", suite="y", where="x.toml")


def opened(number: int, t: float, attempt: int = 1, *, served: bool = True) -> list[Event]:
    """Return the reports of a client that connects from a port of its own."""
    data = {"number": number, "attempt": attempt}
    port = 1000 * attempt + number
    reports = [
        event(t, CROWD, "connecting", **data),
        event(t + 0.01, CROWD, "opened", local=["198.18.0.1", port], **data),
    ]
    return [*reports, event(t + 0.02, CROWD, "served", **data)] if served else reports


def gap(number: int, begun: float, until: float) -> Event:
    return event(until, CROWD, "gap", number=number, attempt=1, seconds=until - begun)


def server_ended(number: int, t: float, attempt: int = 1) -> Event:
    return event(t, "sockets", "ended", port=1000 * attempt + number, state="FIN_WAIT1", lasted=t)


def client_ended(number: int, t: float, attempt: int = 1, how: str = "closed") -> Event:
    return event(t, CROWD, "ended", number=number, attempt=attempt, how=how, code=1006)


@dataclass
class Crowd:
    """The reports of all clients; everything is in order unless more is said."""

    silent: list[tuple[int, float]] = field(default_factory=list)
    cost: dict[str, dict[str, int]] = field(default_factory=dict)
    sockets_left: int = 0

    def timeline(self, *parts: list[Event] | Event) -> Timeline:
        usual = {"processes": 1, "rss": 50_000_000, "files": 10, "threads": 3, "ListenOverflows": 0, "ListenDrops": 0}
        costs = [
            event(t, "lab", "crowd_cost", when=when, **(usual | self.cost.get(when, {})))
            for t, when in ((0.1, "before"), (END - 0.01, "during"), (END + 3, "after"))
        ]
        always = [
            event(BEGUN, "fault", "begun", step=0, fault="cut"),
            event(OVER, "fault", "undone", step=0, fault="cut"),
            event(END - 0.1, CROWD, "standing", silent=[list(pair) for pair in self.silent]),
            event(END, CROWD, "closing", code=1000),
            event(END + 2, "lab", "crowd_left", sockets=self.sockets_left),
        ]
        leaving = [client_ended(number, END + 0.1) for number in range(COUNT)]
        leaving += [server_ended(number, END + 0.2) for number in range(COUNT)]
        first = [report for number in range(COUNT) for report in opened(number, 0.2)]
        own = line(first, always, costs, leaving, *parts)
        return msgspec.structs.replace(line([]), others={CROWD: own}, processes=(held(-1.0), held(20.0, threads=30)))


def verdict(timeline: Timeline, expect: str = "") -> CrowdVerdict:
    found = judge_crowd(scenario(expect), timeline, TERMS)
    assert found is not None
    return found


def findings(*parts: list[Event] | Event, crowd: Crowd | None = None) -> CrowdFindings:
    return verdict((crowd or Crowd()).timeline(*parts)).found


GAPS = [gap(number, 4.5, OVER + number) for number in range(COUNT)]
REAPS = [server_ended(number, 14.0 + number) for number in range(COUNT)]


def test_clients_that_sit_an_outage_out_are_served_again_once_the_last_gap_is_over() -> None:
    found = findings(GAPS)
    assert (found.served, found.reaps, found.returned, found.attempts, found.unserved) == (COUNT, 0, 0, 0, 0)
    assert found.over_at == OVER
    assert found.served_again_after == COUNT - 1
    assert found.gap is not None
    assert found.gap.seconds == OVER + 3 - 4.5


def test_gaps_that_the_stream_has_anyway_are_none() -> None:
    usual = [gap(0, 1.0, 2.5), gap(1, 20.0, 21.9), gap(2, 30.0, 31.9)]
    assert findings(usual).served_again_after == 0
    assert findings(usual, gap(1, 4.5, 17.0)).served_again_after == 2


def test_an_end_by_the_server_is_a_reap_if_its_client_held_on() -> None:
    found = findings(GAPS, REAPS, client_ended(2, 15.0, how="gave_up"))
    # The third client went before the server did.
    assert (found.ended, found.reaps, found.gave_up, found.reaped_at) == (4, 3, 1, 14.0)


def test_the_ends_as_the_crowd_leaves_are_no_reaps() -> None:
    assert findings().ended == 0


@pytest.mark.parametrize(("code", "reaps"), [(1011, 1), (1006, 1), (1000, 0), (1001, 0), (1012, 0)])
def test_a_server_that_says_goodbye_reaps_nobody(code: int, reaps: int) -> None:
    goodbye = event(20.1, CROWD, "close_received", number=1, attempt=1, code=code, reason="")
    assert findings(server_ended(1, 20.0), goodbye).reaps == reaps


def test_a_client_that_is_refused_is_not_reaped() -> None:
    refused = event(20.1, CROWD, "close_received", number=1, attempt=2, code=1013, reason="")
    found = findings(opened(1, 20.0, 2, served=False), refused, server_ended(1, 20.1, attempt=2))
    assert (found.reaps, found.attempts, found.returned) == (0, 1, 0)


def test_the_most_in_a_second_counts_any_second() -> None:
    moments = (14.0, 15.8, 16.0, 16.7)
    ends = [server_ended(number, t) for number, t in enumerate(moments)]
    assert findings(ends).reaps_per_second == 3


def test_attempts_and_returns_are_counted_without_the_first() -> None:
    tries = [event(16.0 + n, CROWD, "connecting", number=1, attempt=2 + n) for n in range(3)]
    failures = [event(16.5 + n, CROWD, "unreachable", number=1, attempt=2 + n, why="") for n in range(3)]
    found = findings(REAPS[1], tries, failures, opened(1, 19.0, 5), opened(2, 19.1, 2))
    assert (found.attempts, found.most_attempts, found.returned) == (5, 4, 2)
    assert found.failures == {"unreachable": 3}
    assert found.attempts_per_second == 2


def test_what_the_server_holds_is_compared_before_during_and_after() -> None:
    after = {"files": 11, "threads": 5, "rss": 60_000_000}
    found = findings(crowd=Crowd(cost={"after": after, "during": {"ListenOverflows": 9, "ListenDrops": 10}}))
    assert found.before is not None
    assert found.most is not None
    assert found.after is not None
    assert (found.before.threads, found.most.threads, found.after.threads) == (3, 30, 5)
    assert (found.overflows, found.drops) == (9, 10)


def behind_edge(*parts: list[Event] | Event, subject: list[Event] | None = None) -> CrowdFindings:
    """Return the findings if all the server's sockets lead to a proxy, from ports of its own."""
    made = Crowd().timeline(*parts)
    hidden = [
        msgspec.structs.replace(e, data={**e.data, "port": 9000 + n}) if e.kind == "sockets" else e
        for n, e in enumerate(made.others[CROWD].events)
    ]
    timeline = msgspec.structs.replace(line(subject or []), others={CROWD: line(hidden)}, processes=made.processes)
    restart = scenario(fault='fault = "restart-edge"', edge='[edge]\nproxy = "nginx"')
    found = judge_crowd(restart, timeline, TERMS)
    assert found is not None
    return found.found


def test_behind_a_proxy_an_end_is_a_reap_unless_a_client_gave_up_before() -> None:
    assert behind_edge(REAPS).reaps == 4
    assert behind_edge(REAPS, client_ended(0, 13.0, how="gave_up"), client_ended(1, 13.5, how="gave_up")).reaps == 2
    assert behind_edge(REAPS, client_ended(0, 18.0, how="gave_up")).reaps == 4
    assert (behind_edge(REAPS).ended, behind_edge(REAPS).ended_per_second) == (4, 2)


def test_behind_a_proxy_a_refusal_is_no_reap() -> None:
    refused = event(20.1, CROWD, "close_received", number=1, attempt=2, code=1013, reason="")
    assert behind_edge(opened(1, 20.0, 2, served=False), refused, server_ended(1, 20.05, 2)).reaps == 0


def test_a_proxy_that_ends_takes_its_connections_with_it() -> None:
    down = [event(13.9, "fault", "begun", step=0, fault="restart-edge"), event(18.0, "fault", "edge_down", by="term")]
    late = event(30.0, "sockets", "ended", port=9999, state="FIN_WAIT1", lasted=2.0)
    assert behind_edge(REAPS, subject=down).reaps == 0
    assert behind_edge(REAPS, late, subject=down).reaps == 1


def test_a_fault_of_the_server_counts_for_the_crowd_too() -> None:
    own = Crowd().timeline()
    events = [event for event in own.others[CROWD].events if event.kind != "fault"]
    subject = line([event(6.0, "fault", "begun", step=0, fault="cut-uplink"), event(16.0, "fault", "undone", step=0)])
    timeline = msgspec.structs.replace(subject, others={CROWD: line(events)}, processes=own.processes)
    found = judge_crowd(scenario(fault='fault = "cut-uplink"'), timeline, TERMS)
    assert found is not None
    assert (found.word, found.found.over_at) == ("passed", 16.0)


def test_a_crowd_is_observed_until_all_should_be_served() -> None:
    assert crowd_observed_until(scenario('all_served_within = "grace"'), TERMS) == OVER + 10


@pytest.mark.parametrize(
    ("expect", "crowd", "parts", "complaint"),
    [
        ('all_served_within = "2s"', Crowd(), GAPS, "served again 3s after the fault, expected within 2s"),
        (
            'all_served_within = "20s"',
            Crowd(silent=[(1, 26.0)]),
            [event(30.0, CROWD, "refused", number=1, attempt=2, why="", status=503)],
            "1 of 4 clients get no data 20s after the fault; attempts that failed: 1 refused",
        ),
        ('longest_gap = "5s"', Crowd(), GAPS, "no data for 13.5s from 4.5s on, expected at most 5s"),
        ("most_reaps = 3", Crowd(), REAPS, "4 live clients were reaped, expected at most 3"),
        ("most_reaps_per_second = 1", Crowd(), REAPS, "2 live clients were reaped in one second, expected at most 1"),
        (
            "most_overflows = 0",
            Crowd(cost={"during": {"ListenOverflows": 9}}),
            [],
            "9 attempts met a full accept queue",
        ),
        ("", Crowd(cost={"after": {"threads": 36}}), [], "33 more threads after the crowd has left than before"),
        ("", Crowd(cost={"after": {"files": 43}}), [], "33 more open files after the crowd"),
        ("", Crowd(sockets_left=2), [], "holds 2 sockets of clients that have left"),
    ],
)
def test_a_crowd_that_is_not_treated_as_expected_has_failed(
    expect: str, crowd: Crowd, parts: list[Event], complaint: str
) -> None:
    found = verdict(crowd.timeline(parts), expect)
    assert found.word == "failed"
    assert complaint in found.why


def test_what_a_server_keeps_of_clients_that_just_gave_up_is_not_held_against_it() -> None:
    late = client_ended(1, END - TERMS.grace, how="gave_up")
    found = verdict(Crowd(sockets_left=1, cost={"after": {"threads": 99}}).timeline(late))
    assert (found.word, found.found.ghosts) == ("passed", 1)


@pytest.mark.parametrize("expect", ["", 'all_served_within = "4s"\nlongest_gap = "15s"\nmost_reaps = 0'])
def test_a_crowd_that_is_treated_as_expected_passes_and_says_how(expect: str) -> None:
    found = verdict(Crowd().timeline(GAPS), expect)
    assert (found.word, found.why) == (
        "passed",
        "4 clients: none reaped; all served again 3s after the fault, the longest gap 13.5s",
    )
    assert sentences(found.found)[-1].startswith("ListenOverflows 0, memory 50.0 MB / 50.0 MB / 50.0 MB, files 10 / 10")


def test_a_server_that_never_served_them_all_has_failed() -> None:
    served = Crowd().timeline()
    events = [e for e in served.others[CROWD].events if not (e.name == "served" and e.data["number"] == 3)]
    found = verdict(msgspec.structs.replace(served, others={CROWD: line(events)}))
    assert (found.word, found.why) == ("failed", "3 of 4 clients were served before the first fault")


def without(name: str) -> Timeline:
    timeline = Crowd().timeline(GAPS)
    events = [event for event in timeline.others[CROWD].events if event.name != name]
    return msgspec.structs.replace(timeline, others={CROWD: line(events)})


@pytest.mark.parametrize(
    ("timeline", "why"),
    [
        (without("standing"), "reported nothing at the end"),
        (without("begun"), "1 of its faults never began"),
        (Timeline(), "reported nothing at the end"),
        (Crowd().timeline(event(3.0, CROWD, "output", text="MemoryError", stream="stderr")), "failed: MemoryError"),
    ],
)
def test_what_was_not_seen_to_happen_proves_nothing(timeline: Timeline, why: str) -> None:
    found = verdict(timeline)
    assert found.word == "inconclusive"
    assert why in found.why


def test_a_crowd_that_was_observed_too_short_proves_nothing() -> None:
    found = verdict(Crowd().timeline(GAPS), f'all_served_within = "{END}s"')
    assert (found.word, found.why) == ("inconclusive", "nothing is proved: observed until 40s, instead of 55s")


def test_a_fault_without_its_evidence_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "signature", lambda _: Proof(False, "the path was not dark"))
    assert verdict(Crowd().timeline(GAPS)).why == "nothing is proved: the path was not dark"
