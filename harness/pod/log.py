"""Structured log lines: one JSON object a line on stdout, on the machine's monotonic clock."""

from __future__ import annotations

import json
import sys
import threading
import time

_lock = threading.Lock()


def log(event: str, **fields: object) -> None:
    """Write one line: ``t`` (seconds, monotonic), ``event``, and its fields."""
    line = json.dumps({"t": time.monotonic(), "event": event, **fields})
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
