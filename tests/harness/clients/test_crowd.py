"""Many clients in one process with a real pod: they are served, closed, come back, and cost no processor in between."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest

from halfopen.clients._crowd import Backoff
from halfopen.clients._messages import CrowdOrder, Endpoint, Retry
from halfopen.netns.processes import work
from halfopen.targets.tls import certified
from tests.harness.clients.test_behaviours import ClientUnderTest
from tests.harness.pod.pods import PodProcess, eventually, pod

COUNT = 20
SOON = Retry(base=0.1, most=0.4, jitter=0.0)


@contextlib.contextmanager
def crowd(
    url: str, count: int = COUNT, behaviour: str = "acking", authority: str | None = None, **order: Any
) -> Iterator[ClientUnderTest]:
    command = [sys.executable, "-m", "halfopen.clients", behaviour, "{}", "crowd"]
    endpoints = tuple(Endpoint(url=f"{url}?client=c{number}", authority=authority) for number in range(count))
    made = CrowdOrder(endpoints=endpoints, seed=1, **{"connects_within": 10.0, **order})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        running = ClientUnderTest(popen)
        running.say(msgspec.json.encode(made).decode())
        try:
            yield running
        finally:
            popen.kill()
            running.wait()


def seats(count: int = COUNT) -> list[str]:
    return ["--seats", str(count), "--slice-size", "1KiB", "--slice-interval", "100ms"]


def url(server: PodProcess) -> str:
    return f"ws://127.0.0.1:{server.port}/"


def numbers(members: ClientUnderTest, name: str) -> Counter[int]:
    return Counter(word["number"] for word in members.heard(name))


def test_all_are_served_and_acknowledge() -> None:
    with pod(*seats()) as server, crowd(url(server)) as members:
        eventually(lambda: len(numbers(members, "served")) == COUNT)
        eventually(lambda: all(session["acknowledged"] for session in server.get("/sessions")))
        assert {session["client"] for session in server.get("/sessions")} == {f"c{n}" for n in range(COUNT)}
        assert set(numbers(members, "opened").values()) == {1}
        progress = eventually(lambda: [word for word in members.heard("progress") if word["served"] == COUNT])
        assert progress[-1]["open"] == COUNT
        assert progress[-1]["received"] > 0


def test_told_to_close_all_shake_hands_and_the_process_ends() -> None:
    with pod(*seats()) as server, crowd(url(server), retry=SOON) as members:
        eventually(lambda: len(numbers(members, "served")) == COUNT)
        members.say("close")
        assert members.wait() == 0
        assert [(word["how"], word["code"]) for word in members.heard("ended")] == [("closed", 1000)] * COUNT


def test_those_without_a_seat_try_again_until_they_get_one() -> None:
    with pod(*seats(COUNT - 5)) as server, crowd(url(server), retry=SOON) as members:
        eventually(lambda: sum(count > 2 for count in numbers(members, "close_received").values()) == 5)
        assert {word["code"] for word in members.heard("close_received")} == {1013}
        assert len(numbers(members, "served")) == COUNT - 5
        # They wait twice as long each time, since a session without data is no success.
        unlucky = members.heard("close_received")[0]["number"]
        moments = [word["t"] for word in members.heard("connecting") if word["number"] == unlucky]
        assert moments[1] - moments[0] >= SOON.base
        assert moments[2] - moments[1] >= 2 * SOON.base


def test_one_that_is_not_to_come_back_stays_away() -> None:
    with pod(*seats(COUNT - 5)) as server, crowd(url(server)) as members:
        eventually(lambda: len(members.heard("ended")) == 5)
        eventually(lambda: [word for word in members.heard("progress") if word["open"] == COUNT - 5])
        assert set(numbers(members, "connecting").values()) == {1}


def test_a_server_that_restarts_gets_them_all_back() -> None:
    with contextlib.ExitStack() as servers:
        first = servers.enter_context(pod(*seats()))
        members = servers.enter_context(crowd(url(first), retry=SOON))
        eventually(lambda: len(numbers(members, "served")) == COUNT)
        first.popen.send_signal(signal.SIGKILL)
        first.popen.wait()
        eventually(lambda: len(numbers(members, "unreachable")) == COUNT)
        servers.enter_context(pod("--port", str(first.port), *seats()))
        eventually(lambda: set(numbers(members, "served").values()) == {2} and len(numbers(members, "served")) == COUNT)
        assert len(numbers(members, "ended")) == COUNT


def test_the_end_of_a_silence_is_reported_across_connections() -> None:
    # Each session ends after a second and a half without data.
    quiet = ["--quiet-after", "500ms", "--session-limit", "2s"]
    with pod(*seats(), *quiet) as server, crowd(url(server), retry=SOON) as members:
        gaps = eventually(lambda: members.heard("gap"))
        assert gaps[0]["attempt"] == 2
        assert gaps[0]["seconds"] >= 1.5


def test_an_impatient_client_gives_a_silent_connection_up() -> None:
    with pod(*seats(), "--quiet-after", "500ms") as server, crowd(url(server), retry=SOON, patience=1.0) as members:
        eventually(lambda: len(numbers(members, "ended")) == COUNT)
        assert {word["how"] for word in members.heard("ended")} == {"gave_up"}
        eventually(lambda: min(numbers(members, "served").values()) == 2)


def test_a_server_that_answers_no_handshake_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        with crowd(f"ws://127.0.0.1:{deaf.getsockname()[1]}/", 3, connects_within=0.5) as members:
            assert members.wait() == 0
        assert set(numbers(members, "unanswered")) == {0, 1, 2}


def test_over_tls_all_are_served() -> None:
    with (
        certified("127.0.0.1") as made,
        pod(*seats(), "--tls-cert", str(made.chain), "--tls-key", str(made.key)) as server,
    ):
        address = f"wss://127.0.0.1:{server.port}/"
        with crowd(address, authority=str(made.authority)) as members:
            eventually(lambda: len(numbers(members, "served")) == COUNT)
            members.say("close")
            assert members.wait() == 0


def test_a_crowd_without_a_harness_ends() -> None:
    with pod(*seats()) as server, crowd(url(server), retry=SOON) as members:
        eventually(lambda: len(numbers(members, "served")) == COUNT)
        assert members.popen.stdin is not None
        members.popen.stdin.close()
        assert members.wait() == 0


def test_clients_that_may_not_read_yet_cost_nothing() -> None:
    with pod(*seats()) as server, crowd(url(server), behaviour="background") as members:
        eventually(lambda: len(numbers(members, "served")) == COUNT)
        before = eventually(lambda: members.heard("progress"))[-1]["t"]
        used = work([members.popen.pid]).seconds
        eventually(lambda: members.heard("progress")[-1]["t"] >= before + 3)
        # A loop that never waits would use all of it.
        assert work([members.popen.pid]).seconds - used < 1.0


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_waits_double_up_to_the_longest_and_jitter_shortens_them(jitter: float) -> None:
    backoff = Backoff(Retry(base=1.0, most=8.0, jitter=jitter), random.Random(1))
    waits = [backoff.next() for _ in range(6)]
    for wait, longest in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
        assert longest * (1 - jitter) <= wait <= longest
    assert (waits == [1, 2, 4, 8, 8, 8]) is (jitter == 0.0)
    backoff.begin_again()
    assert backoff.next() <= 1.0


def test_the_same_seed_draws_the_same_waits() -> None:
    def waits(seed: int) -> list[float]:
        backoff = Backoff(Retry(base=1.0, most=8.0, jitter=1.0), random.Random(seed))
        return list(islice(iter(backoff.next, None), 5))

    assert waits(1) == waits(1) != waits(2)


def test_an_order_is_one_line() -> None:
    order = CrowdOrder(endpoints=(Endpoint(url="ws://a/"),), seed=1, retry=SOON, connects_within=10.0)
    assert json.loads(msgspec.json.encode(order))["retry"] == {"base": 0.1, "most": 0.4, "jitter": 0.0}
