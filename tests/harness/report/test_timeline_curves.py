"""Curves of a run: those worth drawing, and the marks on them."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import zlib

import msgspec

from halfopen.model.timeline import Timeline, make
from halfopen.report import timeline_curves
from halfopen.report.timeline_curves import Band, Mark, Picture, TimelineCurve
from tests.harness.lines import event, flowing, held, held_between, line, sample, stuck
from tests.harness.report.made import behind_a_proxy


def of(picture: Picture, name: str, *, front: bool = False) -> TimelineCurve:
    (found,) = [curve for curve in picture.curves if (curve.name, curve.front) == (name, front)]
    return found


FROZEN = line(flowing(0, 5), event(5, "fault", "begun", step=0, fault="freeze"), stuck(5, 83, outq=456_000, probes=1))


def test_the_peak_of_the_queue_the_closed_window_and_the_probe_are_drawn() -> None:
    picture = timeline_curves.picture({}, FROZEN, 30, 10)
    assert max(of(picture, "outq").values) == 456_000
    assert 0 in of(picture, "snd_wnd").values
    probes = of(picture, "probes")
    assert probes.times[probes.values.index(1)] == 5000


def test_marks_are_those_of_the_results_and_of_the_grace() -> None:
    run = {"fault_at_s": 5.0, "onset_s": 5.4, "reaped_at_s": 36.0, "deadline_s": 38.4}
    assert timeline_curves.picture(run, FROZEN, 30, 10).marks == (
        Mark("fault", 5.0),
        Mark("onset", 5.4),
        Mark("onset + grace", 35.4),
        Mark("reaped", 36.0),
        Mark("deadline", 38.4),
    )


def test_without_a_stall_there_is_no_grace() -> None:
    assert [mark.kind for mark in timeline_curves.moments({"fault_at_s": 5.0, "onset_s": None}, 30)] == ["fault"]


def test_a_session_that_ended_by_itself_is_marked_where_it_was_closed() -> None:
    timeline = line(flowing(0, 5), event(4.5, "client", "closing"), event(4.6, "client", "close_received"))
    assert Mark("closed", 4.5) in timeline_curves.picture({"outcome": "closed"}, timeline, 30, 10).marks
    assert not timeline_curves.picture({"outcome": "kept"}, timeline, 30, 10).marks


def test_a_fault_is_a_band_until_it_is_undone_or_to_the_end() -> None:
    undone = event(9, "fault", "undone", step=0)
    again = event(12, "fault", "begun", step=1, fault="vanish")
    timeline = Timeline(FROZEN.samples, (*FROZEN.events, undone, again))
    picture = timeline_curves.picture({}, timeline, 30, 10)
    assert picture.bands == (Band("freeze", 5, 9), Band("vanish", 12, picture.until))


def test_the_axis_reaches_to_the_last_mark() -> None:
    assert timeline_curves.picture({"deadline_s": 500.0}, FROZEN, 30, 10).until == 500


def test_a_proxys_socket_has_curves_of_its_own() -> None:
    picture = timeline_curves.picture({}, behind_a_proxy().timeline, 30, 100)
    assert max(of(picture, "outq").values) == 64_000
    assert max(of(picture, "outq", front=True).values) == 152_000


def test_what_the_kernel_does_not_tell_is_not_drawn() -> None:
    old = make([msgspec.structs.replace(one, snd_wnd=None) for one in FROZEN.samples], [])
    assert "snd_wnd" not in {curve.name for curve in timeline_curves.picture({}, old, 30, 10).curves}


def test_what_is_still_told_of_a_socket_that_was_closed_is_no_news() -> None:
    closed = line(flowing(0, 5), [sample(6.0, state="CLOSE", outq=999_999)])
    assert max(of(timeline_curves.picture({}, closed, 30, 10), "outq").values) == 0


def test_nothing_seen_is_nothing_drawn() -> None:
    assert dataclasses.asdict(timeline_curves.picture({}, Timeline(), 30, 10)) == {
        "curves": (),
        "bands": (),
        "marks": (),
        "until": 0.0,
        "processes": "",
    }


def test_the_servers_processes_have_curves_from_their_level_before_the_session() -> None:
    seen = held_between(FROZEN, held(-0.1, rss=40_000_000), held(1.0), held(2.0), held(3.0, rss=236_000_000, files=11))
    picture = timeline_curves.picture({}, seen, 30, 100)
    assert (of(picture, "rss").times, of(picture, "rss").values) == (
        (0, 1000, 2000, 3000),
        (40_000_000, 50_000_000, 50_000_000, 236_000_000),
    )
    assert of(picture, "threads").values[0] == 3
    assert (of(picture, "files").times[-2:], of(picture, "files").values[-2:]) == ((2000, 3000), (10, 11))
    assert picture.processes == "memory 40.0 MB to 236.0 MB, 1 process, 3 threads, 10 to 11 open files"


def test_a_grace_that_counts_from_the_fault_is_marked_there() -> None:
    run = {"fault_at_s": 5.0, "onset_s": 17.4, "deadline_s": 38.0, "deadline_from": "fault"}
    assert [mark for mark in timeline_curves.picture(run, FROZEN, 30, 10).marks if "grace" in mark.kind] == [
        Mark("fault + grace", 35.0)
    ]


def test_the_browser_unpacks_exactly_the_picture_that_was_packed() -> None:
    curve = TimelineCurve("outq", True, (0, 50, 101), (5, 0, 900))
    picture = Picture((curve,), (Band("freeze", 5.0, 9.5),), (Mark("onset", 5.4),), 12.0)
    table = json.loads(zlib.decompress(base64.b64decode(timeline_curves.packed(picture))))
    assert table["until"] == 12.0
    assert table["bands"] == [["freeze", 5.0, 9.5]]
    assert table["marks"] == [["onset", 5.4]]
    ((name, front, times, values),) = table["curves"]
    assert (name, front) == ("outq", True)
    assert tuple(itertools.accumulate(times)) == curve.times
    assert tuple(itertools.accumulate(values)) == curve.values
