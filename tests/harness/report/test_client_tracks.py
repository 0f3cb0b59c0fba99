"""All clients of a run: rows of words, and tracks that show when each got data."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import msgspec
import pytest

from halfopen.model.timeline import Timeline
from halfopen.report.client_tracks import Clients, TrackSpan, clients
from halfopen.report.page import Lost, render
from halfopen.run.runner import RunResult
from halfopen.verdict.several import judge_each
from tests.harness.done import TERMS
from tests.harness.lines import event, flowing, line, progress
from tests.harness.report import made

OPENED = [event(0, "client", "connecting"), event(0, "client", "connected"), event(0, "client", "opened")]
LAST = event(59.96, "client", "progress", read=1, received=6_000_000, acknowledged=6_000_000, silent_for=0.05)
SERVED = line(flowing(0, 60), OPENED, progress(0, 60, True), LAST)
STARVED = line(
    flowing(0, 60),
    OPENED,
    progress(0, 9, True),
    event(40, "client", "gap", seconds=31.0),
    progress(40, 60, True),
    LAST,
)


def run(**others: Timeline) -> RunResult:
    """Return a run of one of five that freezes, with these timelines of its bystanders; the rest are served."""
    done = made.reaped()
    job = made.judged("one_frozen", done.timeline).job
    names = [other.name for other in job.scenario.others]
    of_others = {name: others.get(name.replace("-", "_"), SERVED) for name in names}
    timeline = msgspec.structs.replace(done.timeline, others=of_others)
    subject, verdicts = judge_each(job.scenario, timeline, TERMS)
    return dataclasses.replace(done, job=job, subject=subject, timeline=timeline, others=verdicts)


def shown(done: RunResult, timeline: Timeline | None) -> Clients:
    (entry,) = made.table([done])["runs"]
    found = clients(entry, timeline, 60.0)
    assert found is not None
    return found


def test_one_client_has_no_table_of_clients() -> None:
    done = made.kept()
    (entry,) = made.table([done])["runs"]
    assert clients(entry, done.timeline, 60.0) is None
    assert made.page([done]).count('<table class="clients">') == 0


def test_a_starved_bystander_is_told_from_those_that_were_served() -> None:
    done = run(bystander_2=STARVED)
    found = shown(done, done.timeline)
    rows = {row.client: row for row in found.rows}
    assert list(rows) == ["subject", *(f"bystander-{n}" for n in range(1, 5))]
    assert (rows["bystander-2"].standing, rows["bystander-2"].gap) == ("failed", "31s")
    assert "served nothing for 31s from 9.0s on" in rows["bystander-2"].why
    assert rows["bystander-1"].gap != "31s"
    silences = {track.client: track.silences for track in found.tracks}
    assert silences["bystander-2"] == (TrackSpan(9.0, 31.0, "no data for 31s from 9.0s on"),)
    assert silences["bystander-1"] == ()


def test_a_fault_on_one_client_is_drawn_across_all() -> None:
    done = run()
    assert shown(done, done.timeline).faults == (TrackSpan(5, 55.0, "freeze on subject"),)


def test_the_line_rises_with_the_data_to_the_tracks_height() -> None:
    done = run(bystander_2=STARVED)
    track = next(one for one in shown(done, done.timeline).tracks if one.client == "bystander-2")
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", track.line) if point]
    assert points[0] == (0.0, 100.0)
    assert points[-1][0] == pytest.approx(59.96)
    assert points[-1][1] == 0.0
    # From nothing at 9 s to the next data at 40 s there is no point.
    assert not [t for t, _ in points if 9 < t < 40]
    assert len(points) < 300


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([event(15, "client", "refused", why="503", status=503)], ["refused 15s (HTTP 503)"]),
        (
            [
                event(15, "client", "opened"),
                event(15, "client", "close_received", code=4409),
                event(15.1, "client", "ended", how="closed", code=4409),
            ],
            ["connected 15s", "closed by the server 15s (4409)"],
        ),
        ([event(15, "client", "opened"), event(20, "client", "ended", how="reset")], ["connected 15s", "ended 20s"]),
    ],
)
def test_what_became_of_its_connection_is_marked(events: list[Any], said: list[str]) -> None:
    done = run(bystander_1=line(events))
    track = next(one for one in shown(done, done.timeline).tracks if one.client == "bystander-1")
    assert [mark.text for mark in track.marks] == said


def test_without_timelines_there_is_the_table_alone() -> None:
    page = render(made.table([run()]), lambda _run: Lost("is missing"))
    assert page.count('<th scope="row">bystander-') == 4
    assert page.count('<div class="track"') == 0


def test_a_crowd_is_one_track_and_one_row() -> None:
    crowd = line(
        [event(t, "crowd", "progress", open=50, served=50, received=1000 * t, silent_for=0.1) for t in range(30)],
        [event(35, "crowd", "gap", number=n, attempt=1, seconds=20.0 + n / 10) for n in range(50)],
    )
    (entry,) = made.table([run()])["runs"]
    table = {"verdict": "passed", "why": "50 clients: none reaped", "clients": 50, "served": 49, "longest_gap_s": 24.9}
    found = clients(entry | {"crowd": table}, Timeline(others={"crowd": crowd}), 60.0)
    assert found is not None
    row, track = found.rows[-1], found.tracks[-1]
    assert (row.client, row.outcome, row.gap, row.received) == ("crowd", "50 clients, 49 served", "24.9s", "29 kB")
    assert [(silence.begun, silence.seconds) for silence in track.silences] == [(10.1, 24.9)]


def test_the_paths_of_all_clients_are_drawn() -> None:
    page = made.page([run()])
    assert page.count('aria-label="path from client to server"') == 1
    assert page.count('aria-label="path from 4 bystanders to server"') == 1
