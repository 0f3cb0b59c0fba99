"""field.json and the report made from it, from made-up runs."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from halfopen.model.timeline import Timeline
from halfopen.results import comparison, field_report
from halfopen.results.record import Conditions
from halfopen.run.hindrances import LeftOut
from halfopen.run.runner import Job, RunResult
from halfopen.scenario import suites
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.verdict.judge import Timing, judge
from halfopen.verdict.several import judge_each
from tests.harness.lines import event, flowing, line, orphaned, progress, stuck

FREEZE = event(5, "fault", "begun", step=0, fault="freeze")
STACKS = ["thread 'main'", "  loop.py:1 run: self.select()", "task 'stream'", "  app.py:1 stream: await send(data)"]
ASKED = [event(83, "target", "stacks_asked", pid=1), *(event(83.1, "target", "output", text=text) for text in STACKS)]
COMPLAINT = event(20, "target", "output", text="ERROR: ping failed", stream="stderr")
HELD = line(
    flowing(0, 5), progress(0, 5, acknowledging=False), FREEZE, stuck(5, 83.5, last_ack_recv=0), COMPLAINT, ASKED
)
REAPED = line(flowing(0, 5), progress(0, 5, acknowledging=False), FREEZE, stuck(5, 45), orphaned(45, 46))
KEPT = line(flowing(0, 83), progress(0, 83, acknowledging=True))
KILLED = line(flowing(0, 20), progress(0, 20, acknowledging=True), stuck(20, 30, last_ack_recv=9000), orphaned(30, 31))

HOW = Conditions(
    seed=7,
    clock="virtual",
    grace=30.0,
    poll=2.0,
    target={"kind": "2 servers"},
    detector=None,
    started_at="2026-01-01T00:00:00+00:00",
    kernel="6.1.0",
    congestion_control="cubic",
    left_out=(LeftOut("x", "dead", "it needs", "make it"),),
)
SERVERS = {
    "mine/default": (TargetSpec(server="serve {port}", title="Mine", file="examples/mine/default.toml"), "mine 1.0"),
    "mine/ping": (TargetSpec(server="serve {port} -p", edge="nginx", file="examples/mine/ping.toml"), ""),
}


def done(server: str, scenario: str, timeline: Timeline) -> RunResult:
    found = suites.find([scenario])[0]
    job = Job(found, CommandTarget(SERVERS[server][0]), Timing(30, 2), 7, 1, 30, name=found.name, candidate=server)
    return RunResult(job, judge(found, timeline, job.terms), timeline, 1.0)


@pytest.fixture
def table() -> dict[str, Any]:
    runs = [
        done("mine/default", "dead/frozen", HELD),
        done("mine/default", "alive/active", KEPT),
        done("mine/ping", "dead/frozen", REAPED),
        done("mine/ping", "alive/active", KILLED),
    ]
    found = comparison.field_as_table(HOW, runs, 4.0, SERVERS)
    again: dict[str, Any] = json.loads(json.dumps(found))
    return again


def test_a_run_says_whose_it_is_and_what_there_is_to_say_of_a_miss_and_a_false_reap(table: dict[str, Any]) -> None:
    held, _, reaped, killed = table["runs"]
    assert (held["target"], held["class"], held["stacks"]) == ("mine/default", "missed", STACKS)
    assert (reaped["latency_from"], reaped["stacks"]) == ("stall", [])
    assert 39.0 <= reaped["latency_s"] <= 40.0
    assert killed["class"] == "false_reap"
    assert killed["known_at_reap"] == (
        "2.0 MB acknowledged, at most 10s apart, none in the last 10s, 1 kB queued, "
        "last packet from the client 9s before"
    )


def test_the_table_says_what_each_server_is(table: dict[str, Any]) -> None:
    assert table["targets"][0] == {
        "name": "mine/default",
        "title": "Mine",
        "file": "examples/mine/default.toml",
        "fixes": None,
        "guarded": False,
        "command": "serve {port}",
        "edge": None,
        "versions": "mine 1.0",
    }
    assert "target" not in table


def prose(report: str) -> str:
    """Return the text without its line breaks."""
    return " ".join(report.split())


def test_the_report_shows_each_cell_and_why(table: dict[str, Any]) -> None:
    report = field_report.render(table)
    assert "\nMeanwhile it complained:\n\n```text\nERROR: ping failed\n```" in report
    assert "```text\n               1\nmine/default   M\nmine/ping    40!\n```" in report
    assert "```text\ntask 'stream'\n  app.py:1 stream: await send(data)\n```" in report
    for said in (
        "Of 2 sessions whose client was dead, 1 were still held",
        "| `mine/default` | 0 | 1 | | | 1 | 0 | |",
        "| `mine/ping` | mine/ping | `serve {port} -p`, behind nginx | |",
        "**The stream waits, and nothing else does.**",
        "Held in `frozen` (78.5s after the fault, 1 kB stuck).",
        "| `mine/ping` | `active` | 30s | 2.0 MB acknowledged",
        "Reap every one of the dead, and so many of the living: `mine/ping` (1).",
        "- left out: dead/x (it needs; to run it: make it)",
        "--target examples/mine/default.toml",
    ):
        assert said in prose(report)


def test_a_server_with_its_fix_stands_below_the_server_as_it_comes(table: dict[str, Any]) -> None:
    default, ping = table["targets"]
    held = table["runs"][0]
    late, reaped = held | {"class": "true_reap", "scenario": "slept"}, table["runs"][3]
    fixed = ping | {"name": "mine/fixed", "fixes": "mine/default"}
    other = held | {"target": "mine/fixed", "verdict": "passed", "class": "true_reap", "latency_s": 30.0}
    report = field_report.render(
        table | {
            "targets": [default, ping, fixed],
            "runs": [*table["runs"], late, reaped | {"target": "mine/default", "scenario": "paused"}, other],
        }
    )  # fmt: skip
    rows = [text.split()[0] for text in report.splitlines() if text.startswith("mine/")]
    assert rows[:3] == ["mine/default", "mine/fixed", "mine/ping"]
    pair = "| `mine/default` | as it comes | 1 | 1 | 1 |\n| `mine/fixed` | with its fix | 0 | 0 | 0 |"
    assert pair in report
    assert "2 servers, written as" in prose(report)
    assert "With their fixes they held 0 of 1 such sessions." in prose(report)


def test_guarded_servers_are_counted_apart(table: dict[str, Any]) -> None:
    default, ping = table["targets"]
    guarded = {**table, "targets": [default, {**ping, "guarded": True}]}
    text = prose(field_report.render(guarded))
    assert "1 servers, written as their users would write them" in text
    assert "Of 1 sessions whose client was dead, 1 were still held" in text
    assert "under [`halfopen guard`](guard.md). They held 0 of 1 such sessions." in text
    assert "halfopen guard" not in field_report.render(table)


def test_without_a_fix_the_report_says_nothing_of_any(table: dict[str, Any]) -> None:
    report = field_report.render(table)
    assert "With the fix" not in report
    assert "None of these servers was configured with either." in prose(report)


def test_the_report_holds_no_time_of_making_and_no_wall_time(table: dict[str, Any]) -> None:
    later = table | {"started_at": "2027-01-01", "wall_s": 99.0}
    later["runs"] = [run | {"wall_s": 55.5} for run in table["runs"]]
    assert field_report.render(later) == field_report.render(table)


def test_misses_for_the_same_reason_are_told_of_together(table: dict[str, Any]) -> None:
    again = table["runs"][0] | {"scenario": "slept"}
    report = field_report.render(table | {"runs": [*table["runs"], again]})
    assert report.count("await send(data)") == 1
    assert "Held in `frozen` (78.5s after the fault, 1 kB stuck), `slept` (" in prose(report)


def test_what_proves_nothing_counts_for_nothing_and_is_said(table: dict[str, Any]) -> None:
    table["runs"][0] |= {"verdict": "inconclusive", "why": "nothing is proved: so it is"}
    report = field_report.render(table)
    assert "Of 1 sessions" in report
    assert "- `frozen`: nothing is proved: so it is (`mine/default`)" in report


def bystander(gap: float) -> Timeline:
    """Return the timeline of a bystander that once received nothing for ``gap`` seconds."""
    return line(KEPT.samples, KEPT.events, event(50, "client", "gap", seconds=gap))


def with_neighbours(server: str, gap: float) -> RunResult:
    scenario = suites.find(["bystanders/one_frozen"])[0]
    others = {other.name: bystander(0.3) for other in scenario.others} | {scenario.others[2].name: bystander(gap)}
    timeline = msgspec.structs.replace(HELD, others=others)
    job = Job(scenario, CommandTarget(SERVERS[server][0]), Timing(30, 2), 7, 1, 30, scenario.name, candidate=server)
    subject, of_others = judge_each(scenario, timeline, job.terms)
    return RunResult(job, subject, timeline, 1.0, others=of_others)


def test_the_longest_silence_of_any_neighbour_is_shown_in_seconds() -> None:
    runs = [with_neighbours("mine/default", 31.25), with_neighbours("mine/ping", 0.5)]
    table = json.loads(json.dumps(comparison.field_as_table(HOW, runs, 4.0, SERVERS)))
    assert [run["silence_s"] for run in table["runs"]] == [31.25, 0.5]
    report = field_report.render(table)
    assert "## The price for the neighbours" in report
    assert "| server | `one_frozen` |\n|---|---|\n| `mine/default` | 31.2 |" in report
    assert "The others (1) serve the neighbours with gaps of at most 500ms." in report


def test_without_neighbours_there_is_nothing_to_say_of_them(table: dict[str, Any]) -> None:
    assert {run["silence_s"] for run in table["runs"]} == {None}
    assert "neighbours" not in field_report.render(table)


def test_a_comparison_has_a_column_for_it_only_if_there_were_bystanders() -> None:
    with_it = comparison.summary([with_neighbours("mine/default", 31.25)])
    assert comparison.summary_heads(with_it)[-1] == "silence"
    assert comparison.summary_rows(with_it)[0][1][-1] == "31.2s"
    without = comparison.summary([done("mine/default", "dead/frozen", HELD)])
    assert comparison.summary_heads(without)[-1] == "orphan"
    assert len(comparison.summary_rows(without)[0][1]) == len(comparison.summary_heads(without))
