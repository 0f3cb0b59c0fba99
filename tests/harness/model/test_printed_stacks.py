"""Summaries of printed stacks, from any server."""

from __future__ import annotations

import pytest

from halfopen.model import printed_stacks
from halfopen.model.printed_stacks import Finding
from halfopen.model.timeline import Event
from tests.harness.lines import event, line

IDLE = ["thread 'main'", "  loop.py:1 run: self.select()"]
SENDING = ["task 'stream'", "  app.py:1 stream: await send(data)", "  streams.py:2 _drain_helper: await waiter"]
PINGING = ["task 'Task-5'", "  ws.py:7 keepalive: await self.ping()", "  ws.py:9 ping: async with self.send_context():"]
BETWEEN_PINGS = ["task 'Task-5'", "  ws.py:7 keepalive: await sleep(ping_interval)", "  tasks.py:9 sleep: await future"]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], "silent"),
        (IDLE, "nothing_waits"),
        (IDLE + SENDING, "writer_waits"),
        (IDLE + SENDING + PINGING, "keepalive_waits"),
        (IDLE + SENDING + BETWEEN_PINGS, "writer_waits"),
        (["process", "  connection: 32772 bytes, 'drain' is awaited"], "writer_waits"),
        (["task 'x'", "  typing.py:1 mapping: shipping(sender)"], "nothing_waits"),
        (["task 'x'", "  app.py:1 app: await session(receive, send)"], "nothing_waits"),
        (
            ["task 'x'", "  ws.py:7 keepalive: await self.ping()", "  ws.py:9 ping: await lock.acquire()"],
            "keepalive_waits",
        ),
        (["task 'x'", "  ws.py:7 keepalive: latency = await pong_received"], "nothing_waits"),
    ],
)
def test_what_they_show_is_read_off_what_the_frames_do(lines: list[str], found: Finding) -> None:
    assert printed_stacks.finding(lines) == found


def test_only_what_sends_is_told_of() -> None:
    assert printed_stacks.telling(IDLE + SENDING + BETWEEN_PINGS) == SENDING


def test_where_nothing_sends_all_of_it_is_told_of() -> None:
    assert printed_stacks.telling(IDLE + BETWEEN_PINGS) == IDLE + BETWEEN_PINGS


def test_of_a_deep_stack_the_innermost_frames_are_told_of() -> None:
    deep = ["thread 'x'", *(f"  file.py:{n} send: call()" for n in range(10))]
    assert printed_stacks.telling(deep) == ["thread 'x'", "  ...", *deep[-6:]]


def test_stacks_that_differ_in_numbers_only_are_alike() -> None:
    other = [text.replace("Task-5", "Task-118") for text in PINGING]
    assert printed_stacks.gist(other) == printed_stacks.gist(PINGING)
    assert printed_stacks.gist(SENDING) != printed_stacks.gist(PINGING)


def test_what_was_printed_before_they_were_asked_for_is_no_part_of_them() -> None:
    timeline = line(
        event(1, "target", "output", text="listening"),
        event(9, "target", "stacks_asked", pid=7),
        event(9.1, "target", "output", text="thread 'main'"),
    )
    assert printed_stacks.printed(timeline) == ["thread 'main'"]
    assert printed_stacks.printed(line(event(1, "target", "output", text="listening"))) == []


def said(t: float, text: str, **more: str) -> Event:
    return event(t, "target", "output", text=text, **more)


def test_a_complaint_is_what_it_printed_of_its_troubles_since_the_fault() -> None:
    timeline = line(
        said(1, "starting", stream="stderr"),
        event(5, "fault", "begun", step=0, fault="freeze"),
        said(20, "[2026-11-24 17:42:51 +0000] [7] ERROR: ping failed", stream="stderr"),
        said(20, "Traceback (most recent call last):", stream="stderr"),
        said(20, "  File app.py, line 1", stream="stderr"),
        said(20, "AssertionError", stream="stderr"),
        said(40, "AssertionError", stream="stderr"),
        said(41, "all is well"),
        event(80, "target", "stacks_asked", pid=7),
        said(81, "thread 'main'", stream="stderr"),
    )
    assert printed_stacks.complaints(timeline) == ["[7] ERROR: ping failed", "AssertionError"]


def test_without_a_fault_there_is_nothing_to_complain_of() -> None:
    assert printed_stacks.complaints(line(said(1, "starting", stream="stderr"))) == []
