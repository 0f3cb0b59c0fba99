"""The recorder's notes on the kernel's answers."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from functools import partial

from halfopen.model.journal import Journal
from halfopen.model.timeline import Sample as TimelineSample
from halfopen.netns import tcp_info
from halfopen.netns.sockets import Address, Announcement, EndListener, QueueState, SocketReader, SocketSample
from halfopen.run.recorder import Recorder, SamplingRate
from tests.harness.pod.pods import eventually

CLIENT = Address("198.18.0.2", 40000)
SERVER = Address("198.18.1.2", 8000)


def reading(acked: int) -> SocketSample:
    """Return a reading of the session's socket, with its identity as the kernel lays it out."""
    info = tcp_info.parse(memoryview(bytes(120) + struct.pack("=Q", acked) + bytes(120)))
    assert info.bytes_acked == acked
    return SocketSample(0.0, SERVER, CLIENT, "ESTABLISHED", 400_000, 0, 7, info, bytes([2] + [0] * 71))


class Told(SocketReader):
    """A kernel that gives these answers, and then none."""

    def __init__(self, *answers: SocketSample) -> None:
        self._answers = (answer._replace(t=time.monotonic()) for answer in answers)

    def connections(self, port: int = 0) -> list[SocketSample]:  # noqa: ARG002 (the real one takes a port)
        return [next(self._answers)]

    def again(self, sample: SocketSample) -> SocketSample | None:  # noqa: ARG002 (there is but one)
        return next(self._answers, None)

    def queue_state(self, sample: SocketSample) -> QueueState | None:
        """Report no change, in case the recorder is so late that it glances before it reads."""
        return QueueState(sample.state, sample.outq)


class Silent(EndListener):
    """A listener to which nothing is ever announced."""

    def __init__(self) -> None:
        self._end, self._other = os.pipe()

    def fileno(self) -> int:
        return self._end

    def close(self) -> None:
        os.close(self._end)
        os.close(self._other)

    def read(self) -> list[Announcement]:
        return []


def recorded(*acked: int) -> list[int | None]:
    """Return the acknowledged bytes of the samples that are kept of these readings."""
    journal, announced = Journal(), Silent()
    recorder = Recorder(
        journal.sampled, partial(journal.note, "kernel"), Told(*map(reading, acked)), announced, SERVER.port
    )
    recorder.follow(CLIENT)
    assert journal.wait(lambda: journal.find("kernel", "gone") is not None, time.monotonic() + 60.0)
    recorder.stop()
    announced.close()
    return [sample.bytes_acked for sample in journal.timeline().samples]


def test_a_reading_torn_by_a_reset_is_no_acknowledgement() -> None:
    # Seen in CI: a dump during a reset says ESTABLISHED, bytes queued, and zero acknowledged. That looks like progress,
    # and turned the end of a long stall into the beginning of a short one.
    assert recorded(100, 100, 0) == [100, 100]


def test_progress_and_its_absence_are_kept() -> None:
    assert recorded(0, 0, 9) == [0, 0, 9]


class Ending(Told):
    """A kernel whose socket stands still until it is made to end. It counts the requests of each kind."""

    def __init__(self) -> None:
        self.state, self.outq = "ESTABLISHED", 400_000
        self.read: list[float] = []
        self.glanced: list[float] = []

    def connections(self, port: int = 0) -> list[SocketSample]:  # noqa: ARG002 (the real one takes a port)
        return [self._now()]

    def again(self, sample: SocketSample) -> SocketSample | None:  # noqa: ARG002 (there is but one)
        return self._now()

    def queue_state(self, sample: SocketSample) -> QueueState | None:  # noqa: ARG002 (there is but one)
        self.glanced.append(time.monotonic())
        return QueueState(self.state, self.outq)

    def _now(self) -> SocketSample:
        self.read.append(time.monotonic())
        return reading(100)._replace(t=self.read[-1], state=self.state, outq=self.outq)


class Announcing(Silent):
    """A listener that announces everything written to it."""

    def read(self) -> list[Announcement]:
        os.read(self._end, 1)
        return [Announcement(reading(100)._replace(state="FIN_WAIT1"), is_destroyed=False)]

    def announce(self) -> None:
        os.write(self._other, b".")


#: Sampling rate far slower than these tests, so that a second sample has another cause.
RARELY = SamplingRate(interval=600.0)


def stalled_until(
    happens: Callable[[Ending, Announcing], None], *, announced: bool
) -> tuple[Ending, list[TimelineSample]]:
    """Stall a session until something ``happens``. Return the kernel and the two samples kept by then."""
    journal, kernel, ends = Journal(), Ending(), Announcing()
    recorder = Recorder(
        journal.sampled, partial(journal.note, "kernel"), kernel, ends, SERVER.port, RARELY, announced=announced
    )
    recorder.follow(CLIENT)
    eventually(lambda: journal.timeline().samples if announced else kernel.glanced)
    happens(kernel, ends)
    eventually(lambda: len(journal.timeline().samples) == 2)
    kernel.state = "FIN_WAIT1"
    # Set before the announcement wakes it. Otherwise it may go on to its next sample.
    recorder._stopping.set()
    ends.announce()
    recorder.stop()
    ends.close()
    return kernel, list(journal.timeline().samples)


def end(kernel: Ending, _ends: Announcing) -> None:
    kernel.state = "FIN_WAIT1"


def end_and_say_so(kernel: Ending, ends: Announcing) -> None:
    end(kernel, ends)
    ends.announce()


def acknowledge(kernel: Ending, _ends: Announcing) -> None:
    kernel.outq -= 1000


def test_an_end_that_nobody_announces_is_found_by_glances() -> None:
    _, samples = stalled_until(end, announced=False)
    assert [sample.state for sample in samples] == ["ESTABLISHED", "FIN_WAIT1"]


def test_an_end_that_is_announced_takes_no_glance() -> None:
    kernel, samples = stalled_until(end_and_say_so, announced=True)
    assert [sample.state for sample in samples] == ["ESTABLISHED", "FIN_WAIT1"]
    assert not kernel.glanced


def test_bytes_acknowledged_in_a_stall_are_sampled_at_the_next_glance() -> None:
    _, samples = stalled_until(acknowledge, announced=False)
    assert [sample.outq for sample in samples] == [400_000, 399_000]


def test_samples_of_a_stall_grow_farther_apart_but_not_without_end() -> None:
    journal = Journal()
    recorder = Recorder(journal.sampled, journal.note, Told(), Silent(), SERVER.port)
    recorder._last = reading(100)
    apart = {age: recorder._apart(float(age)) for age in (0, 10, 30, 60, 600)}
    assert apart == {0: 0.05, 10: 0.05, 30: 0.1, 60: 0.2, 600: 0.25}
