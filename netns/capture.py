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
        self._host, self._interface, self._path = host, interface, file
        self._application = application
        self._file: BinaryIO | None = None
        self._reader: _Reader | None = None
        self._comments: collections.deque[tuple[int, str]] = collections.deque()
        #: Protects comment() against start() and stop().
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
        """True while packets are recorded."""
        return self._reader is not None

    @property
    def packets(self) -> int:
        """Number of packets in the file."""
        return self._counts.packets

    @property
    def dropped(self) -> int:
        """Number of packets that passed while the capture ran but did not fit in the ring."""
        return self._counts.dropped

    def start(self) -> None:
        """Start recording; do nothing if already started. The first call creates or replaces the file."""
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
        """Write all packets that have passed until now, and stop recording; do nothing if already stopped."""
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
        """Record an event at the current time: as a row of its own in the file, and as a comment on the next packet.

        While the capture is stopped, comments are kept until it starts again.
        """
        with self._lock:
            self._comments.append((time.time_ns(), text))
            if self._reader is not None:
                self._reader.wake()

    def _begun(self) -> BinaryIO:
        """Create the file and write its header. It is unbuffered, so that nothing is lost with this process."""
        file = self._path.open("wb", buffering=0)
        self._began = time.time_ns()
        system = f"{platform.system()} {platform.release()}"
        file.write(pcapng.section_header(platform.machine(), system, self._application))
        file.write(pcapng.interface_description(self._interface, f"of host {self._host.name}"))
        return file


class _Counts:
    """Packet counts of a capture."""

    def __init__(self) -> None:
        self.packets = 0
        self.dropped = 0


class _Reader:
    """One stretch of a capture: a thread that writes the packets of a ring until it is ended."""

    def __init__(
        self, ring: PacketRing, file: BinaryIO, comments: collections.deque[tuple[int, str]], counts: _Counts
    ) -> None:
        self._ring, self._file = ring, file
        self._comments, self._counts = comments, counts
        self._to_attach: list[str] = []
        self._lost = 0
        #: Number of packets that the kernel has put into the ring, as far as we know, and number that we have read from
        #: it.
        self._came = self._had = 0
        self._error: OSError | None = None
        self._woken = os.eventfd(0)
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Make the thread check for new comments."""
        os.eventfd_write(self._woken, 1)

    def end(self) -> None:
        """Write the packets that have passed until now, and end; raises OSError if a write failed."""
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
            # No timeout: the kernel releases each block soon, and a virtual clock can skip the wait.
            if any(what == self._woken for what, _ in waiting.poll()):
                os.eventfd_read(self._woken)
            is_ending = self._is_ending
            self._drain()
            if is_ending and wanted is None:
                wanted = self._came
        self._write([*self._noted(time.time_ns())])

    def _drain(self) -> None:
        """Write all packets that the kernel has released by now."""
        # Take the time before the count, so that the count includes every packet before this time.
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
