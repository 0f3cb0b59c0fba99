"""Captures of real traffic, read by tshark."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest

from halfopen.netns import rtnetlink
from halfopen.netns.capture import Capture
from halfopen.netns.lab_errors import LabError
from halfopen.netns.packet_ring import Packet, PacketRing
from tests import tshark
from tests.in_guest import in_guest
from tests.isolated import isolated
from tests.machine import needs_guest, needs_labs, needs_tshark
from tests.netns.network import Network, ask, connection, eventually, network, receive

pytestmark = [needs_labs, needs_tshark]

#: The link's hosts send IPv6 packets too, at any time.
TCP = "tcp.len > 0"
#: Seconds longer than the kernel holds packets back.
LATE = 0.3


def at_the_server(net: Network, file: Path) -> Capture:
    return Capture(net.server, net.far.end(net.server).interface, file, application="halfopen 0.1")


def raises(kind: type[Exception], why: str) -> AbstractContextManager[object]:
    return pytest.raises(kind, match=re.escape(why))


def say(sender: socket.socket, receiver: socket.socket, words: bytes) -> None:
    """Send, and wait until it is received, so that packets stay on their side of a start or stop."""
    sender.sendall(words)
    assert receive(receiver, len(words)) == words


@isolated
def test_both_directions_are_recorded_whole_and_when_they_came_by(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
        capture.start()
        began = time.time()
        say(client, server, b"question")
        say(server, client, b"answer")
        ended = time.time()
    rows = tshark.read(file, "tcp.payload", "frame.packet_flags_direction", "frame.time_epoch", only=TCP)
    assert [(bytes.fromhex(data), int(way, 16)) for data, way, _ in rows] == [(b"question", 1), (b"answer", 2)]
    # The kernel may read its clock in ticks, coarser than ours.
    assert began - 0.01 <= float(rows[0][2]) <= float(rows[1][2]) <= ended + 0.01
    assert capture.packets == len(tshark.read(file, "frame.number", only="frame.cap_len && !systemd_journal"))
    assert capture.dropped == 0
    assert tshark.malformed(file) == []


@isolated
def test_what_comes_by_between_stop_and_start_is_not_in_the_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
        for words in (b"one", b"two", b"three", b"four"):
            if words in (b"one", b"three", b"four"):
                capture.start()
            say(client, server, words)
            if words in (b"one", b"four"):
                capture.stop()
                assert not capture.running
        capture.stop()
    payloads = [bytes.fromhex(data) for (data,) in tshark.read(file, "tcp.payload", only=TCP)]
    assert payloads == [b"one", b"three", b"four"]


@isolated
def test_a_note_is_a_row_of_its_own_and_a_comment_of_the_next_packet(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
        capture.start()
        say(client, server, b"before")
        capture.comment("the client freezes")
        say(client, server, b"after")
        capture.stop()
        capture.comment("while it is stopped")
        capture.start()
        say(client, server, b"last")
        capture.comment("nothing follows")
    journal = tshark.read(file, "frame.number", "systemd_journal.message", only="systemd_journal")
    assert [text for _, text in journal] == ["the client freezes", "while it is stopped", "nothing follows"]
    commented = tshark.read(file, "frame.number", "frame.comment", only="frame.comment && !systemd_journal")
    assert [text for _, text in commented][:2] == ["the client freezes", "while it is stopped"]
    said = {data: number for number, data in tshark.read(file, "frame.number", "tcp.payload", only=TCP)}
    before, after, last = (int(said[words.hex()]) for words in (b"before", b"after", b"last"))
    rows = [int(number) for number, _ in journal]
    assert before < rows[0] < int(commented[0][0]) <= after < rows[1] < last < rows[2]


@isolated
def test_who_reads_late_misses_nothing_and_keeps_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst moment on a busy machine: nothing was there to read yet, and then the kernel returned the block."""
    packets = PacketRing.packets

    def packets_and_a_nap(ring: PacketRing) -> Iterator[Packet]:
        yield from packets(ring)
        time.sleep(LATE)

    monkeypatch.setattr(PacketRing, "packets", packets_and_a_nap)
    file = tmp_path / "a.pcapng"
    with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
        capture.start()
        say(client, server, b"before")
        capture.comment("between")
        say(client, server, b"after")
    rows = tshark.read(file, "tcp.payload", "systemd_journal.message", only=f"{TCP} || systemd_journal")
    assert [bytes.fromhex(data) or note for data, note in rows] == [b"before", "between", b"after"]


@isolated
def test_what_was_written_is_readable_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with network() as net, connection(net) as (client, server):
        child = os.fork()
        if child == 0:
            capture = at_the_server(net, file)
            capture.start()
            signal.pause()
        eventually(lambda: file.exists() and file.stat().st_size > 0, "the capture began")
        eventually(lambda: _says_until_recorded(client, server, file), "something was recorded")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert {bytes.fromhex(data) for (data,) in tshark.read(file, "tcp.payload", only=TCP)} == {b"hello"}


def _says_until_recorded(client: socket.socket, server: socket.socket, file: Path) -> bool:
    say(client, server, b"hello")
    return b"hello" in file.read_bytes()


@isolated
def test_what_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two blocks of a page each. A thread that is not scheduled returns neither.
    monkeypatch.setattr("halfopen.netns.packet_ring._BLOCK_SIZE", 4096)
    monkeypatch.setattr("halfopen.netns.packet_ring._BLOCKS", 2)
    file = tmp_path / "a.pcapng"
    said = 200
    with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
        capture.start()
        assert capture._file is not None
        held = Held(capture._file)
        capture._file = held  # type: ignore[assignment]
        say(client, server, b"first")
        eventually(lambda: held.asked, "something is to be written")
        for _ in range(said):
            say(client, server, b"x" * 100)
        held.let_go()
        eventually(lambda: capture.dropped > 0, "the drops are counted")
    assert capture.packets + capture.dropped >= 2 * said
    assert capture.packets < 2 * said
    assert tshark.malformed(file) == []


class Held:
    """A file that cannot be written to for a while."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.asked = False
        self._held = True

    def let_go(self) -> None:
        self._held = False

    def close(self) -> None:
        self._file.close()

    def write(self, data: memoryview) -> int:
        self.asked = True
        eventually(lambda: not self._held, "it is let go")
        return self._file.write(data)


@isolated
def test_an_interface_that_goes_down_and_up_is_captured_on(tmp_path: Path) -> None:
    with network() as net, at_the_server(net, tmp_path / "a.pcapng") as capture:
        capture.start()
        end = net.far.end(net.server)
        ask(net.server, "link", "set", index=end.index, state="down")
        eventually(lambda: not _complains(capture), "the error is taken note of, or the thread would run in circles")
        before = capture.packets
        net.server.configure(rtnetlink.up(end.index))
        eventually(lambda: net.server.is_running(end.index), "the interface is up")
        with net.server.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"after", (net.far.end(net.router).ip, 9))
        eventually(lambda: capture.packets > before, "what comes by then is recorded")


def _complains(capture: Capture) -> bool:
    assert capture._ring is not None
    polled = select.poll()
    polled.register(capture._ring.fileno(), 0)
    return bool(polled.poll(0))


@isolated
def test_an_interface_that_is_not_there_is_told(tmp_path: Path) -> None:
    why = "cannot capture at interface 'eth99' of host 'server': No such device"
    with network() as net, Capture(net.server, "eth99", tmp_path / "a.pcapng") as capture, raises(LabError, why):
        capture.start()
    assert not (tmp_path / "a.pcapng").exists()


@isolated
def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    file = tmp_path / "none" / "a.pcapng"
    with network() as net, at_the_server(net, file) as capture, raises(FileNotFoundError, str(file)):
        capture.start()


@isolated
def test_a_full_disk_is_told_when_it_stops(tmp_path: Path) -> None:
    with network() as net, connection(net) as (client, server):
        capture = at_the_server(net, tmp_path / "a.pcapng")
        capture.start()
        with Path("/dev/full").open("wb", buffering=0) as full:
            file, capture._file = capture._file, full
            say(client, server, b"x")
            with pytest.raises(OSError, match="No space left on device"):
                capture.stop()
        capture._file = file
        capture.__exit__(None, None, None)


@needs_guest
def test_a_guests_packets_have_its_clocks_times(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    file.write_bytes(_an_hour_in_a_guest())
    first, second = (float(at) for (at,) in tshark.read(file, "frame.time_epoch", only=TCP))
    assert 3600 <= second - first < 3601


@in_guest
def _an_hour_in_a_guest() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.pcapng")
        with network() as net, connection(net) as (client, server), at_the_server(net, file) as capture:
            capture.start()
            say(client, server, b"before")
            time.sleep(3600)
            say(client, server, b"after")
        return file.read_bytes()
