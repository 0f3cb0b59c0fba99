"""Ten thousand sessions of which a thousand die at once: the last verdict comes at most one poll after the first.

First on made-up time, whatever the clients die of, then for both watchers with that many connections of the loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from halfopen.liveness import AsyncWatcher, Watcher
from halfopen.liveness.async_watcher import AsyncWatch
from halfopen.liveness.reading import Reading, read
from halfopen.liveness.rule import Terms
from halfopen.liveness.watcher import Watch
from tests.harness.liveness.async_connections import PATIENCE, until
from tests.harness.liveness.fleet import Fleet, Session
from tests.harness.pod.pods import eventually

SESSIONS, DYING = 10_000, 1000
GRACE, POLL = 10.0, 2.0
TERMS = Terms(GRACE, POLL)

Deed = Callable[[Fleet, list[Session]], None]


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (Fleet.close, "peer_closed"),
        (Fleet.freeze, "send_stall"),
        (Fleet.mute, "no_answer"),
        (Fleet.darken, "unreachable"),
        (partial(Fleet.darken, is_quiet=True), "unreachable"),
    ],
    ids=["closed", "frozen", "mute", "dark", "dark and quiet"],
)
def test_of_ten_thousand_sessions_a_thousand_that_die_at_once_are_found_within_one_poll(
    deed: Deed, reason: str
) -> None:
    fleet = Fleet(TERMS, SESSIONS)
    fleet.run(POLL)
    # Those of two turns, as far apart as turns are.
    dying = [session for session in fleet.sessions if session.turn in {0, 19}]
    assert len(dying) == DYING
    deed(fleet, dying)
    fleet.run(6 * GRACE)
    assert {session.number for session in fleet.dead} == {session.number for session in dying}
    assert {session.death.reason for session in fleet.dead if session.death} == {reason}
    ends = [session.ended_at or 0.0 for session in fleet.dead]
    assert ends[-1] - ends[0] <= POLL + 1e-6
    assert fleet.reports == []


#: Seconds between two polls of real connections.
REAL_POLL = 1.0
#: Connects as often as asked, says so, and waits until it is killed or its input ends.
CLIENTS = """
import resource, socket, sys
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
port, count = map(int, sys.argv[1:])
kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
print("connected", flush=True)
sys.stdin.read()
"""
#: Descriptors for everything but connections.
SPARE = 1000


@dataclass
class Crowd:
    """Connections to clients that live on, and to two groups of clients that can be killed."""

    living: list[socket.socket] = field(default_factory=list)
    dying: list[tuple[subprocess.Popen[str], list[socket.socket]]] = field(default_factory=list)

    def kill(self) -> None:
        """Kill the clients of the next group. Return once the kernel knows."""
        clients, servers = self.dying.pop()
        clients.kill()
        clients.wait()
        eventually(lambda: all(Reading._make(read(server)).state != 1 for server in servers))


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """Connect 9,000 clients and twice 1,000, or fewer in these proportions if so many files may not be open."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    scale = min(1.0, (most - SPARE) / (SESSIONS + DYING))
    crowd = Crowd()
    with contextlib.ExitStack() as closing:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        closing.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, most))
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        for share in (SESSIONS - DYING, DYING, DYING):
            count = int(scale * share)
            clients = closing.enter_context(_clients(listener.getsockname()[1], count))
            servers = [closing.enter_context(listener.accept()[0]) for _ in range(count)]
            for server in servers:
                # Closed without a word, so that no port waits for a minute.
                server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert clients.stdout is not None
            assert clients.stdout.readline() == "connected\n"
            if crowd.living:
                crowd.dying.append((clients, servers))
            else:
                crowd.living = servers
        yield crowd


@contextlib.contextmanager
def _clients(port: int, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CLIENTS, str(port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        try:
            yield clients
        finally:
            clients.kill()


class Course:
    """The order of polls and verdicts."""

    def __init__(self, kind: type[Watch | AsyncWatch], patch: pytest.MonkeyPatch) -> None:
        self.looks: list[Any] = []
        """The watch of each poll."""
        self.verdicts: list[int] = []
        """For each verdict, the number of polls before it, its own included."""
        look = kind.look

        def recorded(watch: Any) -> None:
            self.looks.append(watch)
            look(watch)

        patch.setattr(kind, "look", recorded)

    def heard(self, _: object) -> None:
        self.verdicts.append(len(self.looks))

    def check(self, dying: list[Any], living: list[Any], killed: int) -> None:
        """Check the course since so many polls, at which all were dead."""
        assert len(self.verdicts) == len(dying)
        first, last = self.verdicts[0], self.verdicts[-1]
        polls = Counter(self.looks[killed:last])
        # Each of the dying had as many polls as any other, or one more.
        assert max(polls[watch] for watch in dying) - min(polls[watch] for watch in dying) <= 1
        meanwhile = Counter(self.looks[first:last])
        assert max(meanwhile[watch] for watch in living) <= 1


def test_the_watcher_of_threads_does_so_with_ten_thousand_connections(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(Watch, monkeypatch)
    watcher = Watcher(3 * REAL_POLL, REAL_POLL)
    with contextlib.ExitStack() as watching:
        living, dying = (
            [watching.enter_context(watcher.watch(server, course.heard)) for server in servers]
            for servers in (crowd.living, crowd.dying[-1][1])
        )
        eventually(lambda: len(course.looks) > len(living))
        crowd.kill()
        killed = len(course.looks)
        eventually(lambda: len(course.verdicts) == len(dying))
        course.check(dying, living, killed)


def test_the_watcher_of_an_event_loop_does_so_with_ten_thousand_connections(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        course = Course(AsyncWatch, monkeypatch)
        # A client that closed is left to its server for the grace.
        watcher = AsyncWatcher(2 * REAL_POLL, REAL_POLL)
        with contextlib.ExitStack() as watching:
            living, dying = (
                [watching.enter_context(watcher.watch(server, on_dead=course.heard)) for server in servers]
                for servers in (crowd.living, crowd.dying[-1][1])
            )
            await until(lambda: len(course.looks) > len(living))
            await asyncio.to_thread(crowd.kill)
            killed = len(course.looks)
            await until(lambda: len(course.verdicts) == len(dying))
            course.check(dying, living, killed)

    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE))
