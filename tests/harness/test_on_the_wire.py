"""A capture agrees with the timeline: a frozen client's window closes on the wire at the same time.

Runs in a guest. Work takes no time there, so a client that reads is never late, and a sample is dated to the moment of
its reading. On a busy machine, a client that is not scheduled for most of a second closes its window too.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Sample
from halfopen.netns.capture import Capture
from halfopen.netns.lab import Lab
from halfopen.run.lab_server import LabServer, Network
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.recorder import INTERVAL
from halfopen.run.session import ClientLink, Session
from halfopen.scenario.spec import ClientSpec
from halfopen.targets.pod import PodTarget
from tests import tshark
from tests.in_guest import in_guest
from tests.machine import needs_guest, needs_tshark
from tests.netns.network import eventually

pytestmark = [needs_guest, needs_tshark]

PORT = 20_000
CLIENT = ClientSpec("draining", {"receive_buffer": "128KiB"})
#: Samples of a closed window, and of an open one before and after: enough to include probes.
LOOKS = 20


class CapturedSession(NamedTuple):
    """A client of a pod without a watchdog, with its traffic captured at the server."""

    journal: Journal
    capture: Capture
    client_pid: int

    def looks(self, *, closed: bool) -> int:
        """Return how many of the last samples in a row found the client's window closed, or open."""
        samples = self.journal.timeline().samples
        unlike = [n for n, sample in enumerate(samples, 1) if (sample.snd_wnd == 0) is not closed]
        return len(samples) - max(unlike, default=0)


@contextlib.contextmanager
def captured(file: Path) -> Iterator[CapturedSession]:
    journal, drawn = Journal(), random.Random(1)
    target = PodTarget(detector="none", grace=30.0, poll=2.0)
    with Lab() as lab:
        network = Network(lab)
        link = ClientLink(network, "client", LinkSpec(), journal, drawn)
        with (
            LabServer.start(target, network, None, port=PORT, journal=Journal(journal), ready_within=60.0) as server,
            Capture(server.site.host, server.interface, file) as capture,
        ):
            capture.start()
            with Session.open(server, link, CLIENT, RunView("client"), Stop()) as session:
                yield CapturedSession(journal, capture, session.client.pid)
                capture.stop()
                session.recorder.stop()


class Seen(NamedTuple):
    """Observations of a session by both."""

    samples: tuple[Sample, ...]
    captured: bytes
    dropped: int
    epoch: float
    """Time of day at which the samples' time begins."""


@in_guest
def of_a_client(*, that_freezes: bool) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.pcapng")
        with captured(file) as its:
            epoch = time.time() - time.monotonic() + its.journal.start
            eventually(lambda: its.looks(closed=False) >= LOOKS, "the client reads")
            if that_freezes:
                its.capture.comment("the client freezes")
                os.kill(its.client_pid, signal.SIGSTOP)
                eventually(lambda: its.looks(closed=True) >= LOOKS, "its window is closed")
                its.capture.comment("the client goes on")
                os.kill(its.client_pid, signal.SIGCONT)
                eventually(lambda: its.looks(closed=False) >= LOOKS, "its window is open")
        return Seen(its.journal.timeline().samples, file.read_bytes(), its.capture.dropped, epoch)


def test_a_frozen_clients_window_is_closed_on_the_wire_when_the_timeline_says_so(tmp_path: Path) -> None:
    seen = of_a_client(that_freezes=True)
    file = tmp_path / "frozen.pcapng"
    file.write_bytes(seen.captured)
    assert tshark.malformed(file) == []
    assert seen.dropped == 0

    sent = tshark.read(file, "frame.time_epoch", "tcp.window_size", only=f"tcp.dstport == {PORT} && tcp.flags.syn == 0")
    wire = [(float(at) - seen.epoch, int(window) == 0) for at, window in sent]
    compared = []
    for sample in seen.samples:
        around = [closed for at, closed in wire if abs(at - sample.t) <= INTERVAL]
        before = [closed for at, closed in wire if at <= sample.t][-1:]
        if len({*around, *before}) == 1:  # else the window opened or closed within a sample's interval
            compared.append((sample.snd_wnd == 0, before[0] if before else around[0]))
    assert [pair for pair in compared if pair[0] is not pair[1]] == []
    assert compared.count((True, True)) >= LOOKS / 2
    assert compared.count((False, False)) >= LOOKS

    # Between the rows that name the actions, and never before.
    rows = tshark.read(
        file, "systemd_journal.message", "tcp.window_size", only=f"tcp.dstport == {PORT} || systemd_journal"
    )
    story = ["note" if note else "closed" if window == "0" else "open" for note, window in rows]
    first, last = (number for number, what in enumerate(story) if what == "note")
    assert "closed" not in story[:first]
    assert "closed" in story[first:last]
    assert story[-1] == "open"


def test_a_client_that_reads_never_closes_its_window(tmp_path: Path) -> None:
    file = tmp_path / "reading.pcapng"
    file.write_bytes(of_a_client(that_freezes=False).captured)
    assert tshark.read(file, "frame.number", only=f"tcp.dstport == {PORT}")
    assert tshark.read(file, "frame.number", only=f"tcp.dstport == {PORT} && tcp.window_size == 0") == []
