"""Capture the packets at one interface of a host, with comments, to a file that Wireshark opens."""

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
from halfopen.netns.host import Host
from halfopen.netns.lab_errors import LabError
from halfopen.netns.packet_ring import Packet, PacketRing

#: The only interface of the file.
_INTERFACE = 0
#: A batch of packets is written once it exceeds this many bytes, so that little is kept in memory.
_BATCH = 4 << 20


class Capture:
    """A capture that can be started and stopped repeatedly, all into one pcapng file. Use it as a context manager.

    ::

        with Capture(server, link.end(server).interface, Path("frozen.pcapng")) as capture:
            capture.start()
            capture.comment("the client freezes")

    Packets of both directions are recorded whole. Segments that offload has merged, or has yet to split, appear as one
    packet larger than the MTU. Its checksum may not be filled in yet. The file stays readable however this process
    ends, and lags by at most some 100 ms. ``start`` and ``stop`` raise OSError if the file cannot be written. ``start``
    raises LabError if the interface cannot be captured. Only ``comment`` may be called from two threads at once.
    """

    def __init__(self, host: Host, interface: str, file: Path, *, application: str = "halfopen") -> None:
        self.packets = 0
        """Packets in the file."""
        self.dropped = 0
        """Packets that passed while the capture ran but did not fit in the ring."""
        self._host, self._interface, self._path = host, interface, file
        self._application = application
        self._file: BinaryIO | None = None
        self._began = 0
        self._comments: collections.deque[tuple[int, str]] = collections.deque()
        self._woken = os.eventfd(0)
        #: Protects comment() against start() and stop().
        self._lock = threading.Lock()
        # Of one stretch, from start() to stop().
        self._ring: PacketRing | None = None
        self._thread = threading.Thread()
        self._is_ending = False
        self._error: OSError | None = None
        self._to_attach: list[str] = []
        self._lost = 0
        #: Packets that the kernel has put into the ring, as far as we know, and packets that we have read from it.
        self._came = self._had = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            os.close(self._woken)
            if self._file is not None:
                self._file.close()

    @property
    def running(self) -> bool:
        """True while packets are recorded."""
        return self._ring is not None

    def start(self) -> None:
        """Start recording; do nothing if already started. The first call creates or replaces the file."""
        if self._ring is not None:
            return
        with self._host.entered():
            try:
                ring = PacketRing(self._interface)
            except OSError as error:
                raise LabError(
                    f"cannot capture at interface {self._interface!r} of host {self._host.name!r}: {error.strerror}"
                ) from error
        try:
            self._file = self._file or self._created()
        except OSError:
            ring.close()
            raise
        self._is_ending, self._error = False, None
        self._to_attach, self._lost, self._came, self._had = [], 0, 0, 0
        self._thread = threading.Thread(target=self._run, args=(ring,), name="capture", daemon=True)
        with self._lock:
            self._ring = ring
            self._thread.start()

    def stop(self) -> None:
        """Write all packets that have passed until now, and stop recording; do nothing if already stopped."""
        if self._ring is None or self._file is None:
            return
        with self._lock:
            ring, self._ring = self._ring, None
        self._is_ending = True
        os.eventfd_write(self._woken, 1)
        self._thread.join()
        ring.close()
        if self._error is not None:
            raise self._error
        seen = self.packets + self.dropped
        block = pcapng.statistics(_INTERFACE, self._began, time.time_ns(), received=seen, dropped=self.dropped)
        self._file.write(block)

    def comment(self, text: str) -> None:
        """Record an event at the current time: as a row of its own in the file, and as a comment on the next packet.

        While the capture is stopped, comments are kept until it starts again.
        """
        with self._lock:
            self._comments.append((time.time_ns(), text))
            if self._ring is not None:
                os.eventfd_write(self._woken, 1)

    def _created(self) -> BinaryIO:
        """Create the file and write its header. It is unbuffered, so that nothing is lost with this process."""
        file = self._path.open("wb", buffering=0)
        self._began = time.time_ns()
        system = f"{platform.system()} {platform.release()}"
        file.write(pcapng.section_header(platform.machine(), system, self._application))
        file.write(pcapng.interface_description(self._interface, f"of host {self._host.name}"))
        return file

    def _run(self, ring: PacketRing) -> None:
        try:
            self._record(ring)
        except OSError as error:
            self._error = error

    def _record(self, ring: PacketRing) -> None:
        waiting = select.poll()
        for what in (ring.fileno(), self._woken):
            waiting.register(what, select.POLLIN)
        wanted: int | None = None
        while wanted is None or self._had < wanted:
            # No timeout: the kernel releases each block soon, and a virtual clock can skip the wait.
            if any(what == self._woken for what, _ in waiting.poll()):
                os.eventfd_read(self._woken)
            is_ending = self._is_ending
            self._drain(ring)
            if is_ending and wanted is None:
                wanted = self._came
        self._write([*self._noted(time.time_ns())])

    def _drain(self, ring: PacketRing) -> None:
        """Write all packets that the kernel has released by now."""
        # Take the time before the count, so that the count includes every packet before this time.
        now = time.time_ns()
        came, lost = ring.count()
        self._came += came
        self._lost += lost
        self.dropped += lost
        batch: list[bytes] = []
        size = 0
        for packet in ring.packets():
            batch += self._noted(packet.at)
            batch.append(self._block(packet))
            size += len(packet.data)
            if size > _BATCH:
                self._write(batch)
                batch, size = [], 0
        if self._had >= self._came:
            # No earlier packet can arrive any more.
            batch += self._noted(now)
        self._write(batch)

    def _noted(self, until: int) -> Iterator[bytes]:
        """Yield the rows of the comments made until this time. Each also becomes a comment on the next packet."""
        while self._comments and self._comments[0][0] <= until:
            at, text = self._comments.popleft()
            self._to_attach.append(text)
            yield pcapng.journal_entry(at, "halfopen", text)

    def _block(self, packet: Packet) -> bytes:
        comments, self._to_attach = self._to_attach, []
        lost, self._lost = self._lost, 0
        self._had += 1
        self.packets += 1
        return pcapng.packet(
            _INTERFACE, packet.at, packet.data, packet.length, outgoing=packet.outgoing, comments=comments, lost=lost
        )

    def _write(self, batch: list[bytes]) -> None:
        assert self._file is not None
        left = memoryview(b"".join(batch))
        while left:
            left = left[self._file.write(left) :]
