"""Work in a thread of its own for as long as a context lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def background(work: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """Run ``work`` in a thread with this name until the context is left.

    It is given an event that is set then, and its end is awaited.
    """
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
