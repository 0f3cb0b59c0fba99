"""Terminal displays. The terminal is restored even if a signal interrupts the start of a display."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.live import Live


@contextlib.contextmanager
def displayed(live: Live) -> Iterator[Live]:
    """Draw ``live`` until the context is left, and leave the cursor shown.

    Live hides the cursor before it has started. A signal at that moment would otherwise leave it hidden.
    """
    try:
        with live:
            yield live
    finally:
        live.stop()
