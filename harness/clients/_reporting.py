"""How a client tells the harness what happens to it."""

from __future__ import annotations

import json
import time


def report(name: str, **data: object) -> None:
    """Tell the harness, by a JSON line on stdout, on the machine's monotonic clock."""
    print(json.dumps({"t": time.monotonic(), "name": name, **data}), flush=True)
