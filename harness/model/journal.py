"""Record everything that happens in a run as it happens, from any thread."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from halfopen.model import timeline
from halfopen.model.evidence import ENDED_STATES
from halfopen.model.kept_output import MOST_AROUND, MOST_STACKS, KeptOutput
from halfopen.model.timeline import Event, FrontSample, ProcessSample, Sample, Timeline
from halfopen.netns.sockets import SocketSample

_LONGEST_OUTPUT = 1000
#: Colours and other escape sequences of terminals, and characters that no XML file may hold (XML 1.0, section 2.2).
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
#: Events that are still recorded once the session's end is observed.
_AFTER_THE_END = {
    ("target", "output"),
    ("target", "stacks"),
    ("target", "stacks_asked"),
    ("target", "holder"),
    ("client", "close_unread"),
}
#: Events around which a server's output is kept, apart from those of the kernel.
_MOMENTS = {
    ("fault", "begun"),
    ("client", "close_received"),
    ("client", "ended"),
    ("client", "refused"),
    ("target", "exited"),
    ("target", "serving_process_ended"),
    ("target", "stacks_asked"),
}


class Journal:
    """Collects events and samples on the monotonic clock. The times of :meth:`timeline` count from the start."""

    def __init__(self, *followers: Journal) -> None:
        self.followers = list(followers)
        """Journals that record every event of this one too: a server's events are those of its clients' sessions."""
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._samples: list[SocketSample] = []
        self._front: list[SocketSample] = []
        self._processes: list[ProcessSample] = []
        self._ended = False
        self._is_closed = False
        self._sealed = False
        self._output = KeptOutput()
        """The output of the target, of the proxy in front, and of the client."""
        self.start = time.monotonic()
        """The moment of t = 0. Set again when the session begins."""

    def note(self, kind: str, name: str, at: float | None = None, **data: Any) -> None:
        """Record an event, by default as of now, and wake the waiters."""
        moment = time.monotonic() if at is None else at
        for follower in tuple(self.followers):
            follower.note(kind, name, moment, **data)
        with self._changed:
            if self._sealed or (self._is_closed and (kind, name) not in _AFTER_THE_END):
                return
            if name == "output":
                data["text"] = _UNPRINTABLE.sub("", str(data["text"]))[:_LONGEST_OUTPUT]
            event = Event(t=moment, kind=kind, name=name, data=data)
            if name != "output" or self._output.add(event):
                self._events.append(event)
            if kind == "kernel" or (kind, name) in _MOMENTS:
                self._keep_output_around(moment, MOST_STACKS if name == "stacks_asked" else MOST_AROUND)
            self._ended = self._ended or kind == "kernel" or (kind, name) == ("client", "close_received")
            self._changed.notify_all()

    def _keep_output_around(self, moment: float, lines_after: int = MOST_AROUND) -> None:
        self._events += self._output.mark(moment, lines_after)

    def sampled(self, sample: SocketSample) -> None:
        """Record a sample, and wake the waiters if it shows that the session has ended."""
        # No lock: 20 samples a second are most of what is recorded, and list.append is atomic.
        self._samples.append(sample)
        if sample.state in ENDED_STATES and not self._ended:
            with self._changed:
                self._ended = True
                self._keep_output_around(sample.t)
                self._changed.notify_all()

    def sampled_in_front(self, sample: SocketSample) -> None:
        """Record a sample of the proxy's socket towards the client."""
        self._front.append(sample)

    def sampled_processes(self, sample: ProcessSample) -> None:
        """Record what the server's processes hold; its time is the monotonic clock's."""
        for follower in tuple(self.followers):
            follower.sampled_processes(sample)
        if not self._is_closed:
            self._processes.append(sample)

    def close_session(self) -> None:
        """Accept only the server's output and stacks from here on: nothing that happens proves anything any more."""
        with self._changed:
            self._is_closed = True

    def seal(self) -> None:
        """Accept no more events."""
        with self._changed:
            self._sealed = True

    @property
    def session_ended(self) -> bool:
        """True if the server's side of the session has ended."""
        return self._ended

    @property
    def has_released(self) -> bool:
        """True if the kernel no longer knows the session's socket."""
        return self.find("kernel", "destroyed", "gone") is not None

    def last_sample(self) -> SocketSample | None:
        """Return the newest sample."""
        return self._samples[-1] if self._samples else None

    def moves(self, *, within: float, in_front: bool = False) -> bool:
        """True if bytes were acknowledged in so many seconds before the last sample.

        ``in_front``: of the proxy's socket towards the client.
        """
        samples = self._front if in_front else self._samples
        last = samples[-1] if samples else None
        if last is None or last.info is None:
            return False
        recent = itertools.takewhile(lambda sample: sample.t >= last.t - within, reversed(samples))
        return any(sample.info is not None and sample.info.bytes_acked != last.info.bytes_acked for sample in recent)

    def find(self, kind: str, *names: str, since: float = 0.0) -> Event | None:
        """Return the first event of ``kind`` and any of ``names`` from ``since`` (monotonic clock) on."""
        with self._changed:
            found = (e for e in self._events if e.kind == kind and e.name in names and e.t >= since)
            return next(found, None)

    def find_last(self, kind: str, name: str) -> Event | None:
        """Return the last event of this kind and name."""
        with self._changed:
            return next((e for e in reversed(self._events) if (e.kind, e.name) == (kind, name)), None)

    def wait(self, condition: Callable[[], bool], until: float) -> bool:
        """Wait until ``condition`` holds, checked after every event, or the clock reaches ``until``."""
        with self._changed:
            return self._changed.wait_for(condition, max(0.0, until - time.monotonic()))

    def wait_for(self, kind: str, *names: str, until: float, since: float = 0.0) -> Event | None:
        """Return the first such event, as :meth:`find` does, or None once the clock reaches ``until``."""
        self.wait(lambda: self.find(kind, *names, since=since) is not None, until)
        return self.find(kind, *names, since=since)

    def wait_for_quiet(self, quiet: float, longest: float) -> None:
        """Wait for output from now on, until none came for ``quiet`` seconds; at most ``longest`` seconds."""
        until = quiet_at = time.monotonic() + longest
        printed = self._output.printed
        # The clock too: a server that prints without end always has printed more.
        while time.monotonic() < until and self.wait(partial(self._has_printed_more, printed), min(quiet_at, until)):
            printed, quiet_at = self._output.printed, time.monotonic() + quiet

    def _has_printed_more(self, printed: int) -> bool:
        return self._output.printed > printed

    def timeline(self) -> Timeline:
        """Return everything recorded so far."""
        with self._changed:
            events, samples, front = [*self._events, *self._output.last], list(self._samples), list(self._front)
            if (since := self._output.dropped_from) is not None:
                data = {"lines": self._output.dropped}
                events.append(Event(t=since, kind="target", name="output_dropped", data=data))
        return self._made(events, samples, front, list(self._processes))

    def after(self, samples: int, events: int, processes: int) -> Timeline:
        """Return the part after the first of each, without the proxy's samples."""
        with self._changed:
            return self._made(self._events[events:], self._samples[samples:], [], self._processes[processes:])

    def _made(
        self,
        events: list[Event],
        samples: list[SocketSample],
        front: list[SocketSample],
        processes: list[ProcessSample],
    ) -> Timeline:
        return timeline.make(
            [timeline.from_kernel(sample, self.start, Sample) for sample in samples],
            (Event(t=round(e.t - self.start, 6), kind=e.kind, name=e.name, data=e.data) for e in events),
            [timeline.from_kernel(sample, self.start, FrontSample) for sample in front],
            [msgspec.structs.replace(sample, t=round(sample.t - self.start, 6)) for sample in processes],
        )
