"""A guard and two hundred sessions while links are cut, with real connections on the virtual clock.

clients ──────┐
              ├──▶ router ──uplink──▶ server
the dark ─────┘
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import time
from dataclasses import dataclass, field

import pytest

from halfopen.guard.decision import Guard, GuardTerms
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.guard_loop import GuardLoop
from halfopen.guard.guarded_server import GuardedServer
from halfopen.guard.reap_limit import ReapLimit
from halfopen.guard.socket_ender import SocketEnder
from halfopen.liveness.rule import Terms
from halfopen.netns.census import Census
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from tests.in_guest import in_guest
from tests.machine import needs_guest
from tests.netns.network import PORT, listen

pytestmark = needs_guest

GRACE, POLL = 30.0, 2.0
STORM = 40.0
ALIVE, FROZEN, DARK = 190, 5, 5
#: Seconds between two rounds in which each client is sent bytes, and reads.
STEP, SLICE = 1.0, 8192


@dataclass
class Story:
    """The ends that the guard made."""

    ends: dict[int, str] = field(default_factory=dict)
    """The reason of each session that was ended."""
    holds: list[tuple[str, str]] = field(default_factory=list)
    """Events of the brake and their causes."""


def connect(
    hosts: list[Host], listener: socket.socket, address: str, stack: contextlib.ExitStack
) -> tuple[list[socket.socket], list[socket.socket]]:
    """Connect each of these hosts; returns the clients' ends and the servers'."""
    clients, servers = [], []
    for host in hosts:
        client = stack.enter_context(host.connect((address, PORT), timeout=GRACE))
        server = stack.enter_context(listener.accept()[0])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        for sock in (client, server):
            sock.setblocking(False)
        clients.append(client)
        servers.append(server)
    return clients, servers


@dataclass
class Crowd:
    """All sessions, and the guard's loop between two rounds of them."""

    clients: list[socket.socket]
    servers: list[socket.socket]
    loop: GuardLoop
    frozen: set[int] = field(default_factory=set)
    due: float = field(default_factory=time.monotonic)

    def stream(self, seconds: float) -> None:
        """Send to every client, and read what arrived at those that are not frozen. The guard does what is due."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for server in self.servers:
                self.send(server)
            for number, client in enumerate(self.clients):
                if number not in self.frozen:
                    with contextlib.suppress(OSError):
                        client.recv(1 << 20)
            while self.due < now + STEP:
                time.sleep(max(0.0, self.due - time.monotonic()))
                self.due = self.loop.step()
            time.sleep(max(0.0, now + STEP - time.monotonic()))

    def send(self, server: socket.socket) -> None:
        try:
            server.send(bytes(SLICE))
        except BlockingIOError:
            pass
        except OSError:
            server.close()


@in_guest
def observe(rule: str, *, dead: bool, is_braked: bool, few: int = 500) -> Story:
    """Cut the uplink for a storm, and observe for four graces. The dead freeze, or stay dark, for good."""
    terms = Terms(GRACE, POLL, half_closed=GRACE, common_outage=None if is_braked else 0.0)
    guard = Guard(GuardTerms(terms, rule, ReapLimit() if is_braked else ReapLimit(1.0)))
    lines = io.StringIO()
    with Lab() as lab, contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr("halfopen.guard.guard_loop._FEW", few)
        near, far, router, home = lab.host("near"), lab.host("far"), lab.router("router"), lab.host("home")
        lab.link(near, router)
        dark_link, uplink = lab.link(far, router), lab.link(router, home)
        listener = stack.enter_context(listen(home))
        hosts = [near] * (ALIVE + FROZEN) + [far] * DARK
        clients, servers = connect(hosts, listener, uplink.end(home).ip, stack)
        numbers = {"{}:{}".format(*client.getsockname()): number for number, client in enumerate(clients)}
        with home.entered():
            census = stack.enter_context(contextlib.closing(Census()))
        server = GuardedServer(census, lambda: [os.getpid()])
        ender, log = SocketEnder(census, server, ["duplicate"]), GuardLog(lines, json=True)
        crowd = Crowd(clients, servers, GuardLoop(census, server, guard, ender, log, poll=POLL, is_dry=False))
        crowd.stream(4 * POLL)
        if dead:
            crowd.frozen = set(range(ALIVE, ALIVE + FROZEN))
            stack.enter_context(dark_link.cut())
        with uplink.cut():
            crowd.stream(STORM)
        crowd.stream(4 * GRACE)
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert {event["event"] for event in events} <= {"guarding", "reap", "hold", "resume"}, events
    ends = {numbers[event["client"]]: event["reason"] for event in events if event["event"] == "reap"}
    return Story(ends, [(event["event"], event["cause"]) for event in events if "cause" in event])


DEAD = dict.fromkeys(range(ALIVE, ALIVE + FROZEN + DARK))


@pytest.mark.parametrize(
    ("rule", "few"),
    [("halfopen", 0), ("bytes-acked", 500)],
    ids=["halfopen, most polls without the quiet", "bytes-acked, all polls whole"],
)
def test_in_a_storm_exactly_the_dead_are_ended(rule: str, few: int) -> None:
    story = observe(rule, dead=True, is_braked=True, few=few)
    assert sorted(story.ends) == sorted(DEAD)


def test_in_a_storm_nobody_is_ended_and_the_guard_says_that_it_holds() -> None:
    story = observe("bytes-acked", dead=False, is_braked=True)
    assert story.ends == {}
    assert story.holds == [("hold", "common_outage"), ("resume", "common_outage")]


def test_without_the_brake_the_storm_ends_sessions_of_the_living() -> None:
    story = observe("bytes-acked", dead=False, is_braked=False)
    assert len(story.ends) > ALIVE / 2
    assert story.holds == []
