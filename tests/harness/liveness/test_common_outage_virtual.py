"""Both watchers while links are cut, with real connections on the virtual clock. Each watcher's outages share a guest.

client 0 ──┐
   ...     ├──▶ router ──uplink──▶ server ◀── client 6
client 5 ──┘
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from halfopen.liveness import AsyncWatcher, Death, Watcher
from halfopen.netns.lab import Lab
from halfopen.netns.link import Link
from tests.in_guest import in_guest
from tests.machine import needs_guest
from tests.netns.network import PORT, listen

pytestmark = needs_guest

GRACE, POLL = 30.0, 2.0
OUTAGE, COMMON = 1.5 * GRACE, 3 * GRACE
CLIENTS = 7
#: The client that does not depend on the uplink.
ELSEWHERE = CLIENTS - 1
#: Bytes that each client is sent in each step, and its seconds.
SLICE, STEP = 4096, 0.25

Api = Literal["threads", "asyncio"]


@dataclass
class Course:
    """The sessions' ends, in seconds since the uplink was cut, and the lines of the log."""

    ends: dict[int, tuple[float, str]] = field(default_factory=dict)
    """For each session that was ended: the moment, and the reason."""
    lines: list[str] = field(default_factory=list)


@dataclass
class Net:
    """The lab's links, and both ends of each session."""

    uplink: Link
    links: list[Link]
    servers: list[socket.socket]
    clients: list[socket.socket]
    frozen: set[int] = field(default_factory=set)

    def stream(self, seconds: float) -> None:
        """Send to every client, and read what arrived at those that are not frozen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for server in self.servers:
                with contextlib.suppress(OSError):
                    server.send(bytes(SLICE))
            for number, client in enumerate(self.clients):
                if number not in self.frozen:
                    with contextlib.suppress(OSError):
                        client.recv(1 << 20)
            time.sleep(STEP)


@contextlib.contextmanager
def net() -> Iterator[Net]:
    with Lab() as lab, contextlib.ExitStack() as closing:
        server, router = lab.host("server"), lab.router("router")
        uplink = lab.link(router, server)
        listener = closing.enter_context(listen(server))
        made = Net(uplink, [], [], [])
        for number in range(CLIENTS):
            host = lab.host(f"client{number}")
            link = lab.link(host, server if number == ELSEWHERE else router)
            made.links.append(link)
            address = (link if number == ELSEWHERE else uplink).end(server).ip
            made.clients.append(closing.enter_context(host.connect((address, PORT), timeout=GRACE)))
            made.servers.append(closing.enter_context(listener.accept()[0]))
        for sock in (*made.servers, *made.clients):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        yield made


class Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def observe(
    api: Api,
    seconds: float,
    observed: float,
    *,
    common_outage: float | None = None,
    lone: float | None = None,
    freezes: bool = False,
    bound_rto: bool = False,
) -> Course:
    """Cut the uplink for so long, and observe for so long since.

    ``lone``: the link of client 0 is cut so many seconds earlier, for good. ``freezes``: client 6 freezes with the cut.
    ``bound_rto``: retransmissions are bounded, if the kernel supports that.
    """
    course = Course()
    logger, handler = logging.getLogger("halfopen.liveness"), Lines(course.lines)
    onset = math.inf

    def ended(number: int, death: Death) -> None:
        course.ends[number] = (time.monotonic() - onset, death.reason)

    with contextlib.ExitStack() as stack:
        logger.addHandler(handler)
        stack.callback(logger.removeHandler, handler)
        lab = stack.enter_context(net())
        options = {"common_outage": common_outage, "bound_rto": bound_rto}
        stack.enter_context(watching(api, lab.servers, ended, options))
        lab.stream(GRACE)
        if lone is not None:
            onset = time.monotonic() + lone
            stack.enter_context(lab.links[0].cut())
            lab.stream(lone)
        onset = time.monotonic()
        if freezes:
            lab.frozen.add(ELSEWHERE)
        if seconds:
            with lab.uplink.cut():
                lab.stream(min(seconds, observed))
        lab.stream(observed - min(seconds, observed))
        lines = list(course.lines)
    return Course(course.ends, lines)


@contextlib.contextmanager
def watching(
    api: Api, servers: list[socket.socket], ended: Callable[[int, Death], None], options: dict[str, Any]
) -> Iterator[None]:
    """Watch the sessions, on asyncio from a loop in a thread of its own. ``ended`` also gets a session's number."""
    with contextlib.ExitStack() as watches:
        if api == "threads":
            watcher = Watcher(GRACE, POLL, **options)
            for number, server in enumerate(servers):
                watches.enter_context(watcher.watch(server, functools.partial(ended, number)))
            yield
            return
        loop, of_loop = asyncio.new_event_loop(), AsyncWatcher(GRACE, POLL, **options)
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        async def start() -> None:
            for number, server in enumerate(servers):
                watches.enter_context(of_loop.watch(server, on_dead=functools.partial(ended, number)))

        async def stop() -> None:
            watches.close()

        asyncio.run_coroutine_threadsafe(start(), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


@in_guest
def courses(api: Api) -> dict[str, Course]:
    long = 2 * GRACE
    run: dict[str, Callable[[], Course]] = {
        "short": lambda: observe(api, OUTAGE / 3, COMMON),
        "long": lambda: observe(api, long, 3 * COMMON),
        "not held": lambda: observe(api, long, 3 * COMMON, common_outage=OUTAGE),
        "for good": lambda: observe(api, math.inf, 3 * COMMON),
        "bounded": lambda: observe(api, math.inf, 3 * COMMON, bound_rto=True),
        "mixed": lambda: observe(api, math.inf, OUTAGE + COMMON, lone=GRACE / 2, freezes=True),
        "alone": lambda: observe(api, 0.0, COMMON, lone=GRACE / 2),
    }
    return {name: each() for name, each in run.items()}


@pytest.fixture(scope="module", params=["threads", "asyncio"])
def seen(request: pytest.FixtureRequest) -> dict[str, Course]:
    return courses(request.param)


BEHIND_UPLINK = set(range(CLIENTS - 1))


def test_a_short_outage_is_no_news(seen: dict[str, Course]) -> None:
    assert seen["short"] == Course()


def test_the_servers_own_outage_ends_nobody_and_is_logged_when_it_begins_and_when_it_is_over(
    seen: dict[str, Course],
) -> None:
    assert seen["long"].ends == {}
    began, over = seen["long"].lines
    assert began.startswith("6 of 7 sessions went dark at once")
    assert over.startswith("the common outage is over after")


def test_the_same_outage_would_end_everybody_behind_it(seen: dict[str, Course]) -> None:
    assert set(seen["not held"].ends) == BEHIND_UPLINK
    assert seen["not held"].lines == []


@pytest.mark.parametrize("name", ["for good", "bounded"])
def test_if_it_lasts_they_are_ended_after_the_bound(seen: dict[str, Course], name: str) -> None:
    ends = seen[name].ends
    assert set(ends) == BEHIND_UPLINK
    for at, reason in ends.values():
        assert reason == "unreachable"
        # Retransmissions are up to as far apart as all before them.
        assert COMMON <= at <= 2 * COMMON + 2 * POLL
    began, expired = seen[name].lines
    assert began.startswith("6 of 7 sessions went dark at once")
    assert expired.endswith("they are ended from now on")


def test_a_client_that_froze_meanwhile_is_ended_on_time(seen: dict[str, Course]) -> None:
    at, reason = seen["mixed"].ends[ELSEWHERE]
    assert reason == "send_stall"
    assert GRACE <= at <= GRACE + 2 * POLL


def test_a_client_that_went_dark_before_is_ended_as_if_it_were_alone(seen: dict[str, Course]) -> None:
    assert set(seen["alone"].ends) == {0}
    assert seen["alone"].lines == []
    (at, reason), (alone, _) = seen["mixed"].ends[0], seen["alone"].ends[0]
    assert reason == "unreachable"
    assert at == pytest.approx(alone, abs=POLL)
    assert all(seen["mixed"].ends[number][0] >= COMMON for number in BEHIND_UPLINK - {0})
