"""Find dead clients of your server, and spare live ones.

In a server on asyncio, one watcher for all connections::

    from halfopen.liveness import AsyncWatcher

    watcher = AsyncWatcher(grace=30.0, poll=2.0)

    async def handler(connection):  # of websockets.asyncio.server
        with watcher.watch(connection):
            await serve_client(connection)  # raises ConnectionClosed once the client was found dead

In a server with threads, one thread for all connections::

    from halfopen.liveness import Watcher, ask

    watcher = Watcher(grace=30.0, poll=2.0)

    def handler(connection):  # of websockets.sync.server
        stop = threading.Event()
        with watcher.watch(connection.socket, lambda death: stop.set(), ask=lambda: ask(connection)):
            while not stop.is_set():
                connection.send(next_frame())  # raises ConnectionClosed once the client was found dead

:mod:`halfopen.liveness.rule` describes their rule, docs/detectors.md the limits of that.
"""

from typing import TYPE_CHECKING, Any

from halfopen.liveness.common_outage import CommonOutageReport
from halfopen.liveness.death import Death
from halfopen.liveness.rule import Rule, Terms
from halfopen.liveness.watcher import Watch, Watcher, ask

if TYPE_CHECKING:
    from halfopen.liveness.async_watcher import AsyncWatch, AsyncWatcher, ListenerWatch, Watchable

__all__ = [
    "AsyncWatch",
    "AsyncWatcher",
    "CommonOutageReport",
    "Death",
    "ListenerWatch",
    "Rule",
    "Terms",
    "Watch",
    "Watchable",
    "Watcher",
    "ask",
]


def __getattr__(name: str) -> Any:
    """Import the part for asyncio on first use: a server with threads does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from halfopen.liveness import async_watcher  # noqa: PLC0415 (on first use only)

    return getattr(async_watcher, name)
