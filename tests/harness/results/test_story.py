"""One run in words: the actions, the kernel's view, the expectation, and how to reproduce it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from halfopen.model.timeline import Timeline
from halfopen.results import explanation, fixes, record, story, words
from halfopen.run.runner import RunResult
from halfopen.scenario import suites
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.verdict.judge import Timing, judge
from tests.harness.done import missed, pod_job
from tests.harness.lines import event, flowing, held, held_between, line, orphaned, progress, sample, stuck
from tests.harness.report.test_client_tracks import STARVED
from tests.harness.report.test_client_tracks import run as of_five


def told(scenario: str, timeline: Timeline) -> RunResult:
    job = pod_job(scenario)
    return RunResult(job, judge(job.scenario, timeline, job.terms), timeline, 1.0)


def begun(t: float, fault: str) -> object:
    return event(t, "fault", "begun", step=0, fault=fault)


def test_a_failure_is_told_with_its_story_and_the_command_that_shows_it_again() -> None:
    assert story.story(missed()) == [
        "frozen   client ──▶ server",
        "  ✗ session still held 78s after the freeze began: 456 kB queued, nothing acknowledged since 5.0s",
        "    done:     at 5.0s freeze: the client's process stops, its kernel lives on (to the end)",
        "    seen:     500 kB acknowledged until 5.0s",
        "              nothing acknowledged from 5.0s on, for 78s, with up to 456 kB queued",
        "              the peer's window at 0 from 5.0s, last packet from the client 0s before the end",
        "              still ESTABLISHED at 83.0s, 456 kB queued",
        "    expected: reaped within 33s of the stall",
        f"    fix:      {fixes.INDEX}#held-too-long",
        "again:   halfopen run frozen --seed 7 --grace 30s --poll 2s --detector none",
    ]


def test_the_command_that_shows_it_again_names_clock_and_kernel() -> None:
    where = ["--clock", "virtual", "--kernel", "guest"]
    assert story.story(missed(), where)[-1].endswith(" --detector none --clock virtual --kernel guest")


def test_the_command_that_shows_it_again_is_whole() -> None:
    spec = TargetSpec(server="serve --on {port}", path="/ws", sessions="/sessions")
    server = pod_job(target=CommandTarget(spec), detector=None, terms=Timing(5, 0.5, 60))
    assert story.again(server) == (
        "halfopen run frozen --seed 7 --grace 5s --poll 500ms --hold 60s "
        "--server 'serve --on {port}' --path /ws --sessions /sessions"
    )


def test_a_deadline_is_told_from_where_it_counted() -> None:
    """From the stall; from the fault, if nothing was queued or the scenario says so; else from the start."""
    death, quiet = begun(5, "freeze"), stuck(5, 83, outq=0)

    def expected(scenario: str, *parts: object) -> str:
        run = told(scenario, line(flowing(0, 5), *parts))  # type: ignore[arg-type]
        return words.expectation(run.job.scenario, run.job.terms, run.verdict.found)

    assert expected("dead/frozen", death, stuck(5, 83)) == "reaped within 33s of the stall"
    assert expected("dead/frozen", death, quiet) == "reaped within 33s of the fault"
    assert expected("dead/half_closed", begun(5, "half-close"), stuck(5, 83)).endswith(" of the fault")
    assert expected("ended/closed_by_server").endswith(" of the start")


@pytest.mark.parametrize(
    ("scenario", "drawn"),
    [
        ("frozen", "client ──▶ server"),
        ("edge_holds", "client ──▶ nginx ──▶ server"),
        ("outage_20s_rtt300", "client ──150ms──▶ server"),
    ],
)
def test_the_way_to_the_server_is_drawn_with_what_its_links_do(scenario: str, drawn: str) -> None:
    (found,) = suites.find([scenario if scenario != "frozen" else "pod_5090/frozen"])
    assert words.drawn(found) == drawn


def test_a_link_of_ones_own_is_drawn_too(tmp_path: Path) -> None:
    file = tmp_path / "slow.toml"
    frozen = next(path for path in suites.shipped()["pod_5090"] if path.stem == "frozen")
    file.write_text(frozen.read_text() + '\n[link]\nrate = "64kbit"\n')
    (found,) = suites.find([str(file)])
    assert words.drawn(found) == "client ──64kbit──▶ server"
    assert words.topology(found) == [{"host": "client"}, {"link": "64kbit"}, {"host": "server"}]


def test_a_fault_that_was_undone_says_when_and_one_that_never_came_says_so() -> None:
    timeline = line(
        flowing(0, 5),
        event(5, "fault", "begun", step=0, fault="cut"),
        stuck(5, 25, snd_wnd=65536, unacked=6),
        event(25, "fault", "undone", step=0, fault="cut"),
        flowing(25, 90),
    )
    run = told("outage_20s_rtt20", timeline)
    assert story.actions(run.job, run.verdict.found) == ["at 5.0s cut: the path goes dark (until 25.0s)"]
    early = told("outage_20s_rtt20", line(flowing(0, 2), event(2, "kernel", "destroyed")))
    assert story.actions(early.job, early.verdict.found) == ["the run ended before cut: the path goes dark"]


def test_of_a_dark_path_the_kernel_tells_retransmissions_and_when_it_last_heard_of_the_peer() -> None:
    dark = [
        sample(t, bytes_acked=500_001, outq=9000, total_retrans=int(t - 5), last_ack_recv=int(t - 5) * 1000, unacked=6)
        for t in range(5, 40)
    ]
    timeline = line(flowing(0, 5), event(5, "fault", "begun", step=0, fault="vanish"), dark, orphaned(40, 60))
    run = told("vanished", timeline)
    assert story.kernel_saw(timeline, run.verdict.found) == [
        "500 kB acknowledged until 5.0s",
        "nothing acknowledged from 5.0s on, for 34s, with up to 9 kB queued",
        "the peer's window open, 34 retransmissions, last packet from the client 34s before the end",
        "the server's side ended at 40.0s (FIN_WAIT1); the kernel still held 1 kB 20s later",
    ]


def test_a_run_without_a_stall_is_told_in_one_sentence_and_its_end() -> None:
    run = told("active", line(flowing(0, 78)))
    assert story.kernel_saw(run.timeline, run.verdict.found) == [
        "7.8 MB acknowledged in all, without a wait",
        "still ESTABLISHED at 78.0s, nothing queued",
    ]


def test_a_server_that_holds_much_memory_for_a_client_says_so_in_its_story() -> None:
    held_in_vain = held_between(missed().timeline, held(80.0, rss=246_000_000))
    run = told("dead/frozen", held_in_vain)
    assert "    cost:     the server's memory grew by 196.0 MB, to 246.0 MB" in story.story(run)
    assert not [line for line in story.story(missed()) if "memory" in line]
    assert not [line for line in story.remarks([run], None) if line.startswith("cost")]


def test_of_runs_that_passed_the_one_that_cost_most_is_remarked() -> None:
    slow = line(flowing(0, 78), progress(0, 78, acknowledging=True))
    runs = [told("alive/active", held_between(slow, held(70.0, rss=size))) for size in (90_000_000, 250_000_000)]
    assert {run.verdict.word for run in runs} == {"passed"}
    assert story.remarks(runs, None) == [
        "cost:    active: the server's memory grew by 200.0 MB, to 250.0 MB; 1 more passed at a high cost"
    ]
    assert story.remarks([told("alive/active", slow)], None) == []


def test_the_history_of_a_client_has_events_stalls_the_socket_and_verdicts_in_order() -> None:
    opened = event(-0.01, "client", "connected", local=["198.18.1.1", 41178])
    timeline = line(opened, flowing(0, 5), event(5, "fault", "begun", step=0, fault="freeze"), stuck(5, 9))
    verdict = judge(pod_job().scenario, timeline, Timing(30, 2))
    socket = "ESTABLISHED, 1 kB queued, 500 kB acknowledged, peer's window 0 B, last packet from the client 0s before"
    assert story.history(timeline, [(9.5, verdict, "reaped within 33s of the stall")]) == [
        "    0.0s  session open, from 198.18.1.1:41178",
        "    5.0s  freeze is in force",
        "    5.0s  last byte acknowledged: a stall begins",
        f"    8.9s  {socket}",
        f"    9.5s  ? {verdict.why}",
        "    9.5s    expected: reaped within 33s of the stall",
    ]


def test_the_history_of_a_client_names_the_page_for_a_failure() -> None:
    run = missed()
    assert story.history(run.timeline, [(83.5, run.verdict, "reaped within 33s of the stall")])[-1] == (
        f"            fix:      {fixes.INDEX}#held-too-long"
    )


def test_what_a_server_printed_last_is_shown() -> None:
    lines = [event(n, "target", "output", text=f"line {n}") for n in range(12)]
    assert story.printed(line(*lines)) == ["server said:", *(f"  line {n}" for n in range(2, 12))]
    assert story.printed(line()) == []


def test_a_server_that_was_never_connected_to_shows_nothing() -> None:
    run = told("active", Timeline())
    assert story.kernel_saw(run.timeline, run.verdict.found) == ["the server's socket was never seen open"]


@pytest.mark.parametrize("scenario", [f"dead/{name}" for name in ("acks_lost", "half_closed", "slept", "nat_expired")])
def test_whatever_is_done_is_told_by_what_the_fault_says_of_itself(scenario: str) -> None:
    job = pod_job(scenario)
    run = told(scenario, Timeline())
    for sentence, step in zip(story.actions(job, run.verdict.found), job.scenario.steps, strict=True):
        name, _, gist = sentence.removeprefix("the run ended before ").partition(": ")
        assert name == step.fault
        assert gist
        assert "(" not in gist


def test_where_a_fault_strikes_is_what_its_file_says() -> None:
    struck = {name: words.struck(suites.find([name])[0]) for name in ("dead/frozen", "dead/vanished", "gil_starved")}
    assert struck == {
        "dead/frozen": {"freeze": "client"},
        "dead/vanished": {"vanish": "link"},
        "gil_starved": {"hold-gil": "server"},
    }


def test_the_explanation_is_of_the_client_that_was_not_as_expected() -> None:
    """The subject is reaped as it should be, and a bystander is refused: its end is explained, not the subject's."""
    refused = line([event(0, "client", "connecting"), event(0.1, "client", "refused", why="HTTP 503", status=503)])
    run = of_five(bystander_3=refused)
    assert (run.subject.word, run.verdict.word) == ("passed", "failed")
    assert story.whose(run) == "bystander-3"
    explained = story.explained(run)
    assert explained == explanation.explain(refused, run.others["bystander-3"])
    of_subject = explanation.explain(run.timeline, dataclasses.replace(run.subject, word="failed"))
    assert of_subject.ended
    assert explained.ended != of_subject.ended
    assert not [text for text in story.story(run) if of_subject.ended in text]
    assert record.run_as_table(run)["about"] == "bystander-3"


def test_the_explanation_of_a_subject_that_failed_names_nobody_else() -> None:
    assert story.whose(missed()) == ""
    assert not [text for text in story.story(missed()) if "about:" in text]


def test_clients_that_were_as_expected_share_a_line() -> None:
    starved = story.others(of_five(bystander_2=STARVED))
    assert starved[1] == "✓ bystander-1, bystander-3, bystander-4: as expected"
    assert starved[0].startswith("✗ bystander-2: served nothing for 31s from 9.0s on")
