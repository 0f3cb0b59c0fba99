"""Find dead clients of a server that must not block, and spare live ones: one thread for all connections.

To use it in a sync server of your own::

    from halfopen.pod.liveness import Watcher, ask

    watcher = Watcher(grace=30.0, poll=2.0)

    def handler(connection):  # of websockets.sync.server
        stop = threading.Event()
        with watcher.watch(connection.socket, lambda death: stop.set(), ask=lambda: ask(connection)):
            while not stop.is_set():
                connection.send(next_frame())  # raises ConnectionClosed once the client was found dead

:mod:`halfopen.pod.liveness.rule` describes its rule, docs/detectors.md the limits of that.
"""

from halfopen.pod.liveness.rule import Rule, Terms
from halfopen.pod.liveness.watcher import Watch, Watcher, ask
from halfopen.pod.watchdog import Death

__all__ = ["Death", "Rule", "Terms", "Watch", "Watcher", "ask"]
