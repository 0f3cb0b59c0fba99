"""What the wire carried: the packets at one interface of a host, with notes, in a file that Wireshark opens."""

from __future__ import annotations

import collections
import os
import platform
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from halfopen.netns import pcapng
from halfopen.netns.errors import LabError
from halfopen.netns.host import Host
from halfopen.netns.packet_ring import Packet, PacketRing

#: The only interface of the file.
_INTERFACE = 0
#: Beyond so many bytes a batch of packets is written, so that what is held stays small.
_BATCH = 4 << 20


class Capture:
    """A capture that may be started and stopped again and again, all into one file (pcapng); use it as a context.

    ::

        with Capture(server, link.end(server).interface, Path("frozen.pcapng")) as capture:
            capture.start()
            capture.comment("the client freezes")

    Packets of both directions are recorded whole. What segmentation offload has merged, or has yet to cut, is one
    packet here, larger than the MTU, and its checksum may not be filled in yet. What is written stays readable whatever
    ends this process; it is at most some 100 ms behind. ``start`` and ``stop`` raise OSError where the file cannot be
    written, ``start`` LabError where the interface cannot be looked at. Not to be called from two threads at once, but
    for ``comment``.
    """

    def __init__(self, host: Host, interface: str, file: Path, *, application: str = "halfopen") -> None:
        self._host, self._interface, self._path = host, interface, file
        self._application = application
        self._file: BinaryIO | None = None
        self._reader: _Reader | None = None
        self._comments: collections.deque[tuple[int, str]] = collections.deque()
        #: For what comment() does beside start() and stop().
        self._lock = threading.Lock()
        self._began = 0
        self._counts = _Counts()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            if self._file is not None:
                self._file.close()

    @property
    def running(self) -> bool:
        """Whether packets are being recorded."""
        return self._reader is not None

    @property
    def packets(self) -> int:
        """How many are in the file."""
        return self._counts.packets

    @property
    def dropped(self) -> int:
        """How many came by while it ran, but found no room."""
        return self._counts.dropped

    def start(self) -> None:
        """Record from now on; nothing where that is so already. The first time makes the file anew."""
        if self._reader is not None:
            return
        with self._host.entered():
            try:
                ring = PacketRing(self._interface)
            except OSError as error:
                raise LabError(
                    f"cannot capture at interface {self._interface!r} of host {self._host.name!r}: {error.strerror}"
                ) from error
        try:
            file = self._file = self._file or self._begun()
        except OSError:
            ring.close()
            raise
        with self._lock:
            self._reader = _Reader(ring, file, self._comments, self._counts)

    def stop(self) -> None:
        """Record no more, once all that came by until now is in the file; nothing where that is so already."""
        if self._reader is None or self._file is None:
            return
        with self._lock:
            reader, self._reader = self._reader, None
        reader.end()
        counts = self._counts
        seen = counts.packets + counts.dropped
        block = pcapng.statistics(_INTERFACE, self._began, time.time_ns(), received=seen, dropped=counts.dropped)
        self._file.write(block)

    def comment(self, text: str) -> None:
        """Note that something happens now: a row of its own in the file, and a comment at the next packet.

        While nothing is recorded it is kept for when that goes on.
        """
        with self._lock:
            self._comments.append((time.time_ns(), text))
            if self._reader is not None:
                self._reader.wake()

    def _begun(self) -> BinaryIO:
        """The file with what it begins with; never buffered, so that nothing is lost with this process."""
        file = self._path.open("wb", buffering=0)
        self._began = time.time_ns()
        system = f"{platform.system()} {platform.release()}"
        file.write(pcapng.section_header(platform.machine(), system, self._application))
        file.write(pcapng.interface_description(self._interface, f"of host {self._host.name}"))
        return file


class _Counts:
    """What came by."""

    def __init__(self) -> None:
        self.packets = 0
        self.dropped = 0


class _Reader:
    """One stretch of a capture: a thread that writes what a ring has, until it is ended."""

    def __init__(
        self, ring: PacketRing, file: BinaryIO, comments: collections.deque[tuple[int, str]], counts: _Counts
    ) -> None:
        self._ring, self._file = ring, file
        self._comments, self._counts = comments, counts
        self._to_attach: list[str] = []
        self._lost = 0
        #: How many packets the kernel has put into the ring as far as we know, and how many of them we had from it.
        self._came = self._had = 0
        self._error: OSError | None = None
        self._woken = os.eventfd(0)
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look whether something was noted."""
        os.eventfd_write(self._woken, 1)

    def end(self) -> None:
        """Write what came by until now, and end; raises OSError where something could not be written."""
        self._is_ending = True
        self.wake()
        self._thread.join()
        os.close(self._woken)
        self._ring.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._record()
        except OSError as error:
            self._error = error

    def _record(self) -> None:
        waiting = select.poll()
        for what in (self._ring.fileno(), self._woken):
            waiting.register(what, select.POLLIN)
        wanted: int | None = None
        while wanted is None or self._had < wanted:
            # Without a limit: whatever is in the ring is given out soon, and a clock that skips the waiting can.
            if any(what == self._woken for what, _ in waiting.poll()):
                os.eventfd_read(self._woken)
            is_ending = self._is_ending
            self._drain()
            if is_ending and wanted is None:
                wanted = self._came
        self._write([*self._noted(time.time_ns())])

    def _drain(self) -> None:
        """Write all that is given out by now."""
        # In this order: what came by before this moment is counted.
        now = time.time_ns()
        came, lost = self._ring.count()
        self._came += came
        self._lost += lost
        self._counts.dropped += lost
        batch: list[bytes] = []
        size = 0
        for packet in self._ring.packets():
            batch += self._noted(packet.at)
            batch.append(self._block(packet))
            size += len(packet.data)
            if size > _BATCH:
                self._write(batch)
                batch, size = [], 0
        if self._had >= self._came:
            # No packet can come any more that was there before these.
            batch += self._noted(now)
        self._write(batch)

    def _noted(self, until: int) -> Iterator[bytes]:
        """The rows of what was noted until a moment; each is a comment of the next packet, too."""
        while self._comments and self._comments[0][0] <= until:
            at, text = self._comments.popleft()
            self._to_attach.append(text)
            yield pcapng.journal_entry(at, "halfopen", text)

    def _block(self, packet: Packet) -> bytes:
        comments, self._to_attach = self._to_attach, []
        lost, self._lost = self._lost, 0
        self._had += 1
        self._counts.packets += 1
        return pcapng.packet(
            _INTERFACE,
            packet.at,
            packet.data,
            packet.length,
            outgoing=packet.outgoing,
            comments=comments,
            lost=lost,
        )

    def _write(self, batch: list[bytes]) -> None:
        left = memoryview(b"".join(batch))
        while left:
            left = left[self._file.write(left) :]
