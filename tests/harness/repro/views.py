"""States of held sessions, made by hand."""

from __future__ import annotations

from halfopen.model.timeline import Timeline
from halfopen.repro.counters import History
from halfopen.repro.view import Action, InForce, SessionView, Stacks
from halfopen.results import words
from halfopen.thread_dump import Dump, Frame, Lock, Thread
from halfopen.verdict.judge import Timing
from tests.harness.lines import event, flowing, held, line, sample, stuck, times

MUTEX = Lock("protocol_mutex", "ServerConnection at 0x7f75626dea10")
LIBRARY = "/lib/websockets/sync/connection.py"
DUMP = Dump(
    7,
    "py-spy",
    None,
    (
        Thread(
            7, "MainThread", "epoll_wait", (Frame("EpollSelector.select", "/lib/selectors.py", 468, "poll(timeout)"),)
        ),
        Thread(
            12,
            "runner-s1",
            "sendto on socket 198.18.1.2:20243 -> 198.18.0.1:54858",
            (
                Frame("Connection.send", LIBRARY, 502, "with self.send_context():"),
                Frame("Connection.send_data", LIBRARY, 1098, "self.socket.sendall(data)"),
            ),
            holds=(MUTEX,),
        ),
        Thread(
            14,
            "keepalive",
            "futex, for a lock or a condition",
            (
                Frame("Connection.ping", LIBRARY, 697, "with self.send_context():"),
                Frame("Connection.send_context", LIBRARY, 1009, "with self.protocol_mutex:"),
            ),
            waits_for=MUTEX,
        ),
    ),
)
HELD = event(0, "target", "watchdog_held")
VERDICT = event(35, "target", "verdict_held", reason="send_stall", stall_s=30.0)


def history() -> History:
    made = History()
    filling = [sample(t, bytes_acked=500_001, outq=int((t - 5) * 300_000) + 1, snd_wnd=0) for t in times(5, 7)]
    silent = [
        sample(one.t, bytes_acked=500_001, outq=600_000, snd_wnd=0, backoff=n // 200, last_ack_recv=int(one.t * 100))
        for n, one in enumerate(stuck(7, 42))
    ]
    made.feed([*flowing(0, 5), *filling, *silent])
    made.feed_processes([held(t, rss=46_000_000 + 1_000_000 * t) for t in range(43)])
    return made


def view(now: float = 42.0) -> SessionView:
    seen: Timeline = line(HELD, VERDICT)
    made = history()
    return SessionView(
        t=now,
        title="pod_5090/frozen against the pod (bytes-acked)",
        phase="freeze",
        held="wedged: window closed, 600 kB stuck, none acknowledged since 5.0s",
        held_at=8.2,
        still_since=made.still_since,
        sample=made.last,
        processes=made.processes,
        series=made.series(now),
        in_force=(InForce("freeze", 5.0),),
        watchdog=words.watchdog(seen, "bytes-acked", Timing(30, 2), now, None),
        server=words.status({"listed": True, "lock_held": True, "healthy": True}, 8.3),
        capture="frozen.pcapng, 1234 packets",
        stacks=Stacks(10.2, DUMP),
        actions=(
            Action(0.0, "session open: Frozen client, client draining"),
            Action(5.0, "freeze is in force"),
            Action(8.2, "held: window closed, 600 kB stuck, none acknowledged since 5.0s"),
            Action(35.0, "the watchdog would reap now (send_stall for 30.0s), but is held"),
        ),
    )
