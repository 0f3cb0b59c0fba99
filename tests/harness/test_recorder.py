"""What the recorder writes down of what the kernel says."""

from __future__ import annotations

import os
import struct
import time

from harness.journal import Journal
from harness.recorder import OfTheServer, Recorder
from netns import tcp_info
from netns.sockets import Address, DestroyListener, Sample, SocketReader

CLIENT = Address("198.18.0.2", 40000)
SERVER = Address("198.18.1.2", 8000)


def reading(acked: int) -> Sample:
    """What the kernel says of the session's socket, with its identification as the kernel lays it out."""
    info = tcp_info.parse(memoryview(bytes(120) + struct.pack("=Q", acked) + bytes(120)))
    assert info.bytes_acked == acked
    return Sample(0.0, SERVER, CLIENT, "ESTABLISHED", 400_000, 0, 7, info, bytes([2] + [0] * 71))


class Told(SocketReader):
    """A kernel that answers as told, then with nothing."""

    def __init__(self, *answers: Sample) -> None:
        self._answers = (answer._replace(t=time.monotonic()) for answer in answers)

    def connections(self, port: int = 0) -> list[Sample]:  # noqa: ARG002 (the real one takes a port)
        return [next(self._answers)]

    def again(self, sample: Sample) -> Sample | None:  # noqa: ARG002 (there is but one)
        return next(self._answers, None)


class Silent(DestroyListener):
    """Nothing is ever announced."""

    def __init__(self) -> None:
        self._end, self._other = os.pipe()

    def fileno(self) -> int:
        return self._end

    def close(self) -> None:
        os.close(self._end)
        os.close(self._other)

    def read(self) -> list[Sample]:
        return []


def recorded(*acked: int) -> list[int | None]:
    """The bytes acknowledged by the samples that are kept of readings with these."""
    journal, announced = Journal(), Silent()
    recorder = Recorder(OfTheServer(journal), Told(*map(reading, acked)), announced, SERVER.port)
    recorder.follow(CLIENT)
    assert journal.wait(lambda: journal.find("kernel", "gone") is not None, time.monotonic() + 60.0)
    recorder.stop()
    announced.close()
    return [sample.bytes_acked for sample in journal.timeline().samples]


def test_a_reading_torn_by_a_reset_is_no_acknowledgement() -> None:
    # Seen in CI: a dump during a reset says ESTABLISHED, bytes queued, and zero acknowledged, which looks like
    # progress and made the end of a long stall the beginning of a short one.
    assert recorded(100, 100, 0) == [100, 100]


def test_progress_and_its_absence_are_kept() -> None:
    assert recorded(0, 0, 9) == [0, 0, 9]
