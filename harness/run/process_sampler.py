"""Sample what the server's processes hold, once a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from halfopen.model.journal import Journal
from halfopen.model.timeline import ProcessSample
from halfopen.netns.host import Host
from halfopen.netns.processes import usage

INTERVAL = 1.0
"""Seconds between samples."""


@contextlib.contextmanager
def sampling_processes(host: Host, journal: Journal) -> Iterator[None]:
    """Sample the processes in ``host`` in a thread of its own until the context is left."""
    over = threading.Event()

    def sample() -> None:
        due = time.monotonic()
        while True:
            seen = usage(host.processes())
            if seen.processes:
                journal.sampled_processes(ProcessSample(t=time.monotonic(), **seen._asdict()))
            due = max(due + INTERVAL, time.monotonic())
            if over.wait(due - time.monotonic()):
                return

    thread = threading.Thread(target=sample, name="process-sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
