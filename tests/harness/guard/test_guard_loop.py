"""The steps of a guard: when it polls, what a poll reads, and its failures."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from halfopen.guard import guard_loop
from halfopen.guard.decision import Guard, GuardTerms
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.guard_loop import GuardLoop
from halfopen.guard.guarded_server import GuardedServer
from halfopen.guard.socket_ender import Means, SocketEnder
from halfopen.liveness.rule import Terms
from halfopen.netns.census import Census
from halfopen.netns.sockets import dump_request
from tests.harness.guard.test_socket_ender import connected, linger
from tests.netns.network import stall

GRACE, POLL = 0.4, 0.1


class Course:
    """A loop that guards this process, and its lines."""

    def __init__(self, census: Census, means: Sequence[Means], *, is_dry: bool) -> None:
        self.lines = io.StringIO()
        self.server = GuardedServer(census, lambda: [os.getpid()])
        self.guard = Guard(GuardTerms(Terms(GRACE, POLL, half_closed=GRACE), "bytes-acked"))
        ender, log = SocketEnder(census, self.server, means), GuardLog(self.lines, json=True)
        self.loop = GuardLoop(census, self.server, self.guard, ender, log, poll=POLL, is_dry=is_dry)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            time.sleep(max(0.0, self.loop.step() - time.monotonic()))

    def reaps(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] in {"reap", "would_reap"}]


@contextlib.contextmanager
def course(*means: Means, is_dry: bool = False) -> Iterator[Course]:
    with contextlib.closing(Census()) as census:
        yield Course(census, means or ["duplicate"], is_dry=is_dry)


def test_a_stalled_session_is_ended_when_its_grace_is_over() -> None:
    with course() as guarded, connected() as (_, server):
        stall(server)
        guarded.until(lambda: bool(guarded.reaps()))
        assert guarded.reaps()[0]["stuck_s"] >= GRACE
        assert linger(server) == (1, 0)


def test_a_server_that_keeps_an_ended_session_open_is_named_once() -> None:
    with course() as guarded, connected() as (_, server):
        stall(server)
        guarded.until(lambda: [event["event"] for event in guarded.events][-1:] == ["still_open"])
        began = time.monotonic()
        guarded.until(lambda: time.monotonic() > began + 3 * GRACE)
        assert [event["event"] for event in guarded.events if event["event"] != "guarding"] == ["reap", "still_open"]
        assert server.fileno() > 0


@pytest.mark.parametrize("few", [500, 0], ids=["all read", "stuck read"])
def test_the_quiet_are_counted_and_only_read_if_they_are_few(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_loop, "_FEW", few)
    reads: list[int] = []
    poll = Census.poll

    def counting(census: Census, *arguments: Any, whole: bool = False) -> Any:
        result = poll(census, *arguments, whole=whole)
        reads.append(len(result.samples))
        return result

    with course() as guarded, connected():
        monkeypatch.setattr(Census, "poll", counting)
        guarded.until(lambda: len(reads) >= 20)
        quiet_reads = sum(read > 0 for read in reads)
        assert guarded.loop.sessions >= 1
        assert quiet_reads == len(reads) if few else quiet_reads <= len(reads) / 4


def test_a_poll_that_fails_is_reported_once_and_the_guard_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with course() as guarded, connected() as (_, server):
        survey = guarded.server.survey

        def fail(*, is_thorough: bool) -> NoReturn:
            del is_thorough
            raise OSError(105, "No buffer space available")

        monkeypatch.setattr(guarded.server, "survey", fail)
        began = time.monotonic()
        guarded.until(lambda: time.monotonic() > began + 5 * POLL)
        assert [event["event"] for event in guarded.events] == ["trouble"]
        assert "No buffer space available" in guarded.events[0]["text"]
        monkeypatch.setattr(guarded.server, "survey", survey)
        stall(server)
        guarded.until(lambda: bool(guarded.reaps()))


def test_a_poll_that_is_broken_off_does_not_confuse_the_next() -> None:
    with contextlib.closing(Census()) as census, connected() as (_, server):
        port = server.getsockname()[1]
        expected = census.poll([port]).states
        census._sock.send(dump_request(socket.AF_INET, 0, 1 << 1))
        census.reopen()
        assert census.poll([port]).states == expected


def test_after_a_pause_polls_are_not_made_up_for() -> None:
    with course() as guarded:
        guarded.loop.step()
        time.sleep(5 * POLL)
        before = time.monotonic()
        assert guarded.loop.step() >= before + POLL


def test_a_bug_is_reported_once_and_the_guard_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with course() as guarded:

        def fail(**_: object) -> NoReturn:
            raise ValueError("a bug")

        monkeypatch.setattr(guarded.server, "survey", fail)
        began = time.monotonic()
        guarded.until(lambda: time.monotonic() > began + 5 * POLL)
        (event,) = guarded.events
        assert event["event"] == "trouble"
        assert "internal error: ValueError: a bug" in event["text"]


def test_a_missing_permission_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("halfopen.netns.processes.duplicated", refuse)
    with course() as guarded, connected() as (_, server):
        stall(server)
        guarded.until(lambda: any(event["event"] == "trouble" for event in guarded.events))
        began = time.monotonic()
        guarded.until(lambda: time.monotonic() > began + 2 * GRACE)
        troubles = [event["text"] for event in guarded.events if event["event"] == "trouble"]
        assert len(troubles) == 1
        assert "is left alone: pidfd_getfd: Operation not permitted" in troubles[0]
        assert guarded.reaps() == []
