"""Watch one session from outside: sample the server's socket, faster after changes, and note its end.

If a proxy stands in front of the server, the proxy's socket towards the client is sampled too.
"""

from __future__ import annotations

import contextlib
import functools
import math
import select
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from halfopen.model.evidence import ALIVE_STATES
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address, EndListener, SocketReader, SocketSample, identity, torn

#: Seconds between samples: 20 Hz.
INTERVAL = 0.05
#: Seconds between samples of a session that flows, if the kernel announces ends: 10 Hz.
_FLOWING = 0.1
#: In a stall nothing changes for long, so samples grow apart: by this share of the stall's length so far, up to so many
#: seconds. This dates the end of a stall to a third of a percent of its length.
_SHARE, _FARTHEST = 1 / 300, 0.25
#: Seconds between checks for a reap while nothing is acknowledged. Most kernels announce no change of state, and a
#: connection with bytes queued outlives the reap.
_WATCHFUL = 0.008
#: Seconds of standstill before it counts as a stall, and after which a server that has not reaped is in no hurry.
_STILL, _LONG = 0.5, 120.0


class SamplingRate(msgspec.Struct, frozen=True):
    """Sampling rate of a recorder."""

    interval: float = INTERVAL
    """Seconds between samples."""
    watchful: bool = True
    """True if the recorder checks for a reap every 8 ms in each stall, unless the kernel announces ends. This is most
    of the cost of a stalled session, and useless if nobody reaps."""


STEADY = SamplingRate()


class Recorder:
    """Samples the server's end of the connection from one client address, in its own thread."""

    def __init__(
        self,
        on_sample: Callable[[SocketSample], None],
        on_end: Callable[..., None],
        reader: SocketReader,
        ends: EndListener,
        port: int,
        sampling: SamplingRate = STEADY,
        *,
        announced: bool = False,
    ) -> None:
        """``announced``: the kernel announces when a session ends, so the recorder need not poll for it."""
        self._on_sample, self._on_end = on_sample, on_end
        self._reader = reader
        self._ends = ends
        self._port = port
        self._sampling = sampling
        self._is_watchful = sampling.watchful and not announced
        self._flowing = max(_FLOWING, sampling.interval) if announced else sampling.interval
        self._client: Address | None = None
        self._socket: bytes | None = None
        self._last: SocketSample | None = None
        self._gone = False
        self._moved_at = 0.0
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def follow(self, client: Address) -> None:
        """Begin to sample the session of the client at this address. Port 0 matches any, if the host has one client."""
        self._client = client
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; re-raises an error of the recorder's thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stopping.is_set():
                # Reading the clock costs as much as all the rest here if system calls are slow, as in a guest.
                now = self._sample()
                # Late ticks are skipped, not made up for: two samples at once show nothing new.
                due = max(due + self._apart(now), now)
                self._await_ends(due, now)
        except BaseException as error:  # noqa: BLE001 (re-raised by stop)
            self._failure = error

    def _sample(self) -> float:
        """Take a sample. Return its moment, or now if there was nothing to sample (monotonic clock)."""
        sample = self._read()
        if sample is not None:
            self._socket = identity(sample)
            if self._last is None or not torn(sample, self._last):
                if not _stands_still(sample, self._last):
                    self._moved_at = sample.t
                self._last = sample
                self._on_sample(sample)
            return sample.t
        if self._socket is not None and not self._gone:
            # Not every end is announced. A socket in TIME_WAIT, or one that its owner still holds, just disappears.
            self._gone = True
            self._on_end("gone")
        return time.monotonic()

    def _read(self) -> SocketSample | None:
        if self._last is not None:
            return None if self._gone else self._reader.again(self._last)
        return next((s for s in self._reader.connections(self._port) if self._is_client(s.remote)), None)

    def _is_client(self, remote: Address) -> bool:
        return self._client is not None and remote == (self._client.ip, self._client.port or remote.port)

    def _is_the_session(self, ended: SocketSample) -> bool:
        """Match by identity, since a reset wipes the address, or by address if the socket was never sampled."""
        if self._socket is not None:
            return identity(ended) == self._socket
        return self._is_client(ended.remote)

    def _stalled_for(self, now: float) -> float:
        """Seconds since anything queued was acknowledged; 0 if something just was, or the session is over."""
        if self._last is None or self._last.state not in ALIVE_STATES:
            return 0.0
        return now - self._moved_at

    def _apart(self, now: float) -> float:
        """Seconds until the next sample, if nothing happens before."""
        stalled_for = self._stalled_for(now)
        least = self._sampling.interval if stalled_for else self._flowing
        return max(least, min(stalled_for * _SHARE, _FARTHEST))

    def _glance_in(self, now: float) -> float:
        """Seconds until the next glance at a stalled session; infinity if none is needed."""
        if not self._is_watchful or self._last is None or not self._last.outq:
            return math.inf
        stalled_for = self._stalled_for(now)
        if stalled_for >= _LONG:
            return self._sampling.interval
        return max(_STILL - stalled_for, _WATCHFUL)

    def _has_moved(self) -> bool:
        """Read the queue. True if the server's side has just ended, or something was acknowledged."""
        assert self._last is not None
        seen = self._reader.queue_state(self._last)
        return seen is None or seen.state not in ALIVE_STATES or seen.outq < self._last.outq

    def _await_ends(self, until: float, now: float) -> None:
        """Wait for the moment of the next sample, or for something to happen to the session before."""
        while now < until:
            glance_at = now + self._glance_in(now)
            if select.select([self._ends], [], [], min(glance_at, until) - now)[0]:
                if self._heard():
                    return
            elif glance_at >= until or self._has_moved():
                return
            now = time.monotonic()

    def _heard(self) -> bool:
        """Read the kernel's announcements. True if the session has ended and its socket can still be sampled."""
        is_over = False
        for last, is_destroyed in self._ends.read():
            if not self._is_the_session(last):
                continue
            if is_destroyed:
                self._on_end("destroyed", at=last.t, state=last.state, outq=last.outq)
            else:
                is_over = True
        return is_over


def _stands_still(sample: SocketSample, before: SocketSample | None) -> bool:
    """True if bytes are queued and none was acknowledged since the previous sample."""
    if before is None or sample.info is None or before.info is None:
        return False
    return bool(sample.outq) and sample.info.bytes_acked == before.info.bytes_acked


@functools.cache
def kernel_announces_ends() -> bool:
    """True if this kernel announces the end of each session (halfopen.netns.sockets.announces_ends)."""
    with contextlib.closing(Host("trial")) as host:
        return host.announces_ends()


@contextlib.contextmanager
def recording(
    on_sample: Callable[[SocketSample], None],
    host: Host,
    port: int,
    sampling: SamplingRate = STEADY,
    on_end: Callable[..., None] = lambda *_, **__: None,
) -> Iterator[Recorder]:
    """Yield a recorder of the connections to ``port`` of ``host``. It is idle until ``follow`` is called.

    ``on_end`` is called when the kernel releases the socket: with ``"gone"``, or with ``"destroyed"`` and, by keyword,
    its moment (``at``), ``state`` and ``outq``.
    """
    with (
        contextlib.closing(host.socket_reader()) as reader,
        contextlib.closing(host.end_listener()) as ends,
    ):
        recorder = Recorder(on_sample, on_end, reader, ends, port, sampling, announced=kernel_announces_ends())
        try:
            yield recorder
        finally:
            recorder.stop()
