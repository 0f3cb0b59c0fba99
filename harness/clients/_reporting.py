"""Reports of a client to the harness."""

from __future__ import annotations

import json
import time


def report(name: str, **data: object) -> None:
    """Send the harness a JSON line on stdout, on the machine's monotonic clock."""
    print(json.dumps({"t": time.monotonic(), "name": name, **data}), flush=True)
