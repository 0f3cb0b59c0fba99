"""Displays on a terminal, which is put back also if a signal interrupts their start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.live import Live


@contextlib.contextmanager
def displayed(live: Live) -> Iterator[Live]:
    """Draw it until the context is left, and leave the cursor shown.

    Live hides the cursor before it has started, and what interrupts it then would leave the cursor hidden.
    """
    try:
        with live:
            yield live
    finally:
        live.stop()
