from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from halfopen.model import timeline
from halfopen.model.timeline import Event, FrontSample, Sample, Timeline
from halfopen.netns.sockets import Address, SocketSample
from halfopen.netns.tcp_info import parse
from tests.harness.lines import event, flowing, line, sample


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    seen = line(flowing(0, 1), event(0.5, "client", "opened"), event(0.7, "fault", "begun", step=0, fault="freeze"))
    timeline.write(seen, tmp_path / "x.jsonl")
    assert timeline.read(tmp_path / "x.jsonl") == seen


def test_lines_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    timeline.write(line(flowing(0, 1), event(0.52, "client", "opened")), tmp_path / "x.jsonl")
    lines = [msgspec.json.decode(text) for text in (tmp_path / "x.jsonl").read_bytes().splitlines()]
    assert [item["t"] for item in lines] == sorted(item["t"] for item in lines)
    assert {item["kind"] for item in lines} == {"sample", "client"}


def test_what_the_proxy_saw_is_kept_apart_from_what_the_server_saw(tmp_path: Path) -> None:
    front = [FrontSample(t=0.5, state="ESTABLISHED", outq=7), FrontSample(t=1.5, state="CLOSE", outq=0)]
    seen = timeline.make(flowing(0, 2), [Event(t=1.0, kind="lab", name="x")], front)
    timeline.write(seen, tmp_path / "x.jsonl")
    assert timeline.read(tmp_path / "x.jsonl") == seen
    assert seen.between(1.0, 2.0).front == (front[1],)
    assert seen.facing_client() == timeline.Timeline(tuple(front), seen.events)


def test_a_part_includes_both_of_its_ends() -> None:
    seen = line([sample(1.0), sample(2.0), sample(3.0)], event(2.0, "client", "opened"))
    assert [s.t for s in seen.between(1.0, 2.0).samples] == [1.0, 2.0]
    assert len(seen.between(2.0, 2.0).events) == 1
    assert seen.between(4.0, 9.0) == Timeline()


def test_events_are_found_by_kind_and_name() -> None:
    seen = line(event(1, "client", "progress", received=1), event(2, "client", "progress", received=2))
    assert [e.data["received"] for e in seen.of("client", "progress")] == [1, 2]
    assert seen.first("client", "closing", "progress") == seen.events[0]
    assert seen.last("client") == seen.events[1]
    assert seen.first("target") is None
    assert seen.last("target") is None


def test_a_socket_without_a_process_is_an_orphan() -> None:
    here, there = Address("198.18.0.1", 1), Address("198.18.0.2", 2)
    read = SocketSample(10.0, here, there, "FIN_WAIT1", 77, 0, 0, parse(bytes(232)), b"")
    held = read._replace(inode=5)
    assert timeline.from_kernel(read, 4.0, Sample).orphan
    assert timeline.from_kernel(read, 4.0, Sample).t == 6.0
    assert not timeline.from_kernel(held, 4.0, FrontSample).orphan


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"kind":"sample","t":"soon"}', "line 2: Expected `float`, got `str`"),
        ('{"kind":"sample","t":1.', "line 2: JSON is malformed: invalid number"),
        ('{"kind":["sample"],"t":1}', "line 2: "),
        ("[]", "line 2: Expected `object`, got `array`"),
        ("\x00", "line 2: JSON is malformed"),
    ],
)
def test_a_line_that_is_none_is_refused_and_named(tmp_path: Path, line: str, said: str) -> None:
    timeline.write(Timeline(events=(Event(t=0.0, kind="lab", name="begun"),)), tmp_path / "x.jsonl")
    with (tmp_path / "x.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(timeline.BrokenError, match=said):
        timeline.read(tmp_path / "x.jsonl")


def test_each_clients_lines_come_back_with_what_the_server_did_for_all(tmp_path: Path) -> None:
    of_server = Event(t=1.0, kind="target", name="output", data={"text": "hello"})
    own = Event(t=2.0, kind="target", name="serving_process_ended", data={"pid": 7})
    subject = timeline.make([Sample(t=0.5, state="ESTABLISHED", outq=1)], [of_server, own])
    other = timeline.make(
        [Sample(t=0.75, state="CLOSE", outq=2)], [of_server, Event(t=0.8, kind="client", name="opened")]
    )
    file = tmp_path / "several.jsonl"
    timeline.write(msgspec.structs.replace(subject, others={"bystander-1": other}), file)

    lines = [msgspec.json.decode(line) for line in file.read_text().splitlines()]
    assert [line.get("client") for line in lines] == [None, "bystander-1", "bystander-1", None, None]
    assert timeline.read(file) == msgspec.structs.replace(subject, others={"bystander-1": other})
