"""Clients in their own processes with a real pod: what they read, what they acknowledge, and how they end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from halfopen.clients._messages import Endpoint
from tests.harness.pod.pods import PATIENCE, eventually, pod


class ClientUnderTest:
    """A running client, its messages and its standard input."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.words: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        self.words.extend(json.loads(line) for line in self.popen.stdout)

    def wait(self) -> int:
        """Wait until it has ended and all its messages are read."""
        code = self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def heard(self, name: str) -> list[dict[str, Any]]:
        return [word for word in self.words if word["name"] == name]

    def say(self, text: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()


def endpoint(url: str, authority: str | None = None) -> str:
    return msgspec.json.encode(Endpoint(url=url, authority=authority)).decode()


@contextlib.contextmanager
def client(behaviour: str, url: str, *authority: str, **options: str) -> Iterator[ClientUnderTest]:
    command = [sys.executable, "-m", "halfopen.clients", behaviour, json.dumps(options)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        running = ClientUnderTest(popen)
        running.say(endpoint(url, *authority))
        try:
            yield running
        finally:
            popen.kill()
            running.wait()


def test_a_draining_client_reads_everything_and_acknowledges_nothing() -> None:
    with pod() as server, client("draining", server.url()) as it:
        eventually(lambda: [s for s in server.get("/sessions") if s["bytes"] > 300_000])
        progress = eventually(lambda: [w for w in it.heard("progress") if w["received"] > 300_000])
        assert all(word["acknowledged"] == 0 for word in progress)
        assert server.session()["acknowledged"] is None


def test_an_acking_client_acknowledges_what_it_reads() -> None:
    # Seven slices and then nothing. That is less than the window, so none is shed however late an acknowledgement
    # comes.
    size, count = 32 * 1024, 7
    with pod("--quiet-after", "330ms") as server, client("acking", server.url()) as it:
        eventually(lambda: [w for w in it.heard("progress") if w["acknowledged"] == count * size])
        eventually(lambda: server.session()["acknowledged"] == count * size)
        session = server.session()
        assert (session["bytes"], session["drops"]) == (count * size, {})


def test_a_trickling_client_reads_no_faster_than_its_rate() -> None:
    rate, chunk = 50_000, 5_000
    with pod() as server, client("trickling", server.url(), rate="50kB/s", chunk="5kB") as it:
        eventually(lambda: [w for w in it.heard("progress") if w["received"] > 2 * rate])
        # At its start the client has read any bytes that came with the handshake's answer.
        first, *later = it.heard("progress")
        for word in later:
            # Of a burst, at most a second's worth.
            assert word["read"] - first["read"] <= rate * (word["t"] - first["t"] + 1) + chunk
        eventually(lambda: server.session()["drops"].get("window"))


def test_a_client_that_trickles_silently_reads_and_acknowledges_nothing() -> None:
    with pod() as server, client("trickling-silently", server.url(), rate="50kB/s", chunk="5kB") as it:
        progress = eventually(lambda: [w for w in it.heard("progress") if w["received"] > 100_000])
        assert all(word["acknowledged"] == 0 for word in it.heard("progress"))
        assert all(word["read"] >= word["received"] for word in progress)
        assert server.session()["acknowledged"] is None


def test_a_flooding_client_reads_everything_and_sends_far_more_than_acknowledgements() -> None:
    with pod() as server, client("flooding", server.url(), every="10ms") as it:
        progress = eventually(lambda: [w for w in it.heard("progress") if w["spoken"] > 100_000])
        assert progress[0]["received"] > 0
        # It acknowledges what it reads all the same, so the pod sheds nothing.
        eventually(lambda: server.session()["acknowledged"])


@pytest.mark.parametrize("behaviour", ["acking", "draining"])
def test_any_other_client_says_nothing_of_its_own(behaviour: str) -> None:
    with pod() as server, client(behaviour, server.url()) as it:
        progress = eventually(lambda: [w for w in it.heard("progress") if w["received"] > 300_000])
        assert all(word["spoken"] == 0 for word in progress)


def test_a_client_that_is_told_to_reset_sends_half_a_message_and_no_close_frame() -> None:
    with pod() as server, client("acking", server.url()) as it:
        eventually(lambda: server.session()["acknowledged"])
        it.say("reset")
        assert server.log_line("session_closed")["reason"] in {"connection_lost", "socket_error"}
        assert it.wait() == 0
        (reset,) = it.heard("reset")
        assert 0 < reset["sent"] < reset["of"]
        assert not it.heard("closing")


def test_a_client_that_slows_later_reads_all_until_then() -> None:
    rate, slows_after, before = 1_000, 3, 1_000_000
    options = {"rate": "1kB/s", "chunk": "100B", "slows_after": f"{slows_after}s", "receive_buffer": "16KiB"}
    with pod() as server, client("trickling-silently", server.url(), **options) as it:
        eventually(lambda: it.heard("progress") and it.heard("progress")[-1]["read"] > before)
        (opened,) = it.heard("opened")
        late = eventually(lambda: [w for w in it.heard("progress") if w["t"] - opened["t"] > slows_after + 1])
        first = late[0]
        eventually(lambda: it.heard("progress")[-1]["t"] > first["t"] + 2)
        last = it.heard("progress")[-1]
        assert last["read"] - first["read"] <= rate * (last["t"] - first["t"] + 1)


def test_a_client_in_the_background_rests_most_of_the_time_and_still_takes_in_and_acknowledges() -> None:
    with pod() as server, client("background", server.url(), receive_buffer="16KiB") as it:
        eventually(lambda: server.session()["acknowledged"])
        eventually(lambda: len(it.heard("progress")) > 10)
        read = [word["read"] for word in it.heard("progress")]
        rests = sum(1 for before, after in pairwise(read) if after == before)
        assert rests > (len(read) - 1) / 4
        assert read[-1] > read[0]


def test_a_client_told_to_close_shakes_hands_and_ends() -> None:
    with pod() as server, client("acking", server.url()) as it:
        eventually(lambda: it.heard("opened"))
        it.say("close")
        assert it.wait() == 0
        (ended,) = it.heard("ended")
        assert (ended["how"], ended["code"]) == ("closed", 1000)
        assert it.heard("closing")[0]["t"] <= ended["t"]


def test_a_client_told_to_half_close_says_so_and_the_server_takes_it_for_the_end() -> None:
    with pod() as server, client("draining", server.url()) as it:
        eventually(lambda: it.heard("opened"))
        it.say("half-close")
        eventually(lambda: it.heard("half_closed"))
        assert server.log_line("session_closed")["reason"] == "connection_lost"
        assert it.wait() == 0


def test_a_client_whose_server_dies_says_how() -> None:
    with pod() as server, client("draining", server.url()) as it:
        eventually(lambda: it.heard("opened"))
        server.popen.send_signal(signal.SIGKILL)
        assert it.wait() == 0
        assert it.heard("ended")[0]["how"] in {"closed", "ConnectionResetError"}


def test_a_client_without_a_seat_is_told_the_code() -> None:
    with pod() as server, client("draining", server.url("a")):
        # Connected is not enough: a seat is taken after the handshake.
        eventually(lambda: server.get("/sessions"))
        with client("draining", server.url("b")) as second:
            assert second.wait() == 0
            assert second.heard("close_received")[0]["code"] == 1013


def test_a_client_that_finds_nobody_says_so() -> None:
    with socket.socket() as deaf:
        # Bound for the whole test, so that nobody else is given the port.
        deaf.bind(("127.0.0.1", 0))
        with client("draining", f"ws://127.0.0.1:{deaf.getsockname()[1]}/") as it:
            assert it.wait() == 0
        assert "refused" in it.heard("unreachable")[0]["why"].lower()


def test_the_receive_buffer_is_set_before_connecting() -> None:
    with pod() as server, client("trickling", server.url(), rate="1B/s", chunk="1B", receive_buffer="16KiB") as it:
        eventually(lambda: it.heard("opened"))
        # With 16 KiB in the client's kernel and next to nothing read, the pod's queue grows at once.
        eventually(lambda: server.session()["bytes"] > 64 * 1024)
        eventually(lambda: len(it.heard("progress")) > 1)
        first, *_, last = it.heard("progress")
        assert last["read"] - first["read"] <= last["t"] - first["t"] + 2


@pytest.mark.parametrize("options", [{"rate": "fast"}, {"sped": "1B/s"}])
def test_bad_options_end_it_at_once(options: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "halfopen.clients", "trickling", json.dumps(options)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "client 'trickling'" in done.stderr


def test_stopping_it_is_seen_by_its_parent() -> None:
    with pod() as server, client("draining", server.url()) as it:
        eventually(lambda: it.heard("opened"))
        os.kill(it.popen.pid, signal.SIGSTOP)
        assert os.waitid(os.P_PID, it.popen.pid, os.WSTOPPED | os.WNOWAIT)
        stopped = time.monotonic()
        sent = server.session()["bytes"]
        eventually(lambda: server.session()["bytes"] > sent + 200_000)
        # By the client's own times: earlier messages may only have been read here now.
        assert all(word["t"] <= stopped for word in it.words)
