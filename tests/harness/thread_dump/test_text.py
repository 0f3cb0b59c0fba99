"""Whole outputs about threads at a terminal."""

from __future__ import annotations

import dataclasses

from halfopen.thread_dump import Dump, Frame, Lock, Thread, render

CONNECTION = "/srv/lib/websockets/sync/connection.py"
LIB = "/usr/lib/python3.11"
MUTEX = Lock("protocol_mutex", "ServerConnection at 0x7f75626dea10")
BEGINS = (
    Frame("Thread._bootstrap", f"{LIB}/threading.py", 1002, "self._bootstrap_inner()"),
    Frame("Thread._bootstrap_inner", f"{LIB}/threading.py", 1045, "self.run()"),
    Frame("Thread.run", f"{LIB}/threading.py", 982, "self._target(*self._args, **self._kwargs)"),
)
HANDLER = Thread(
    12,
    "Thread-1 (sock_handler)",
    "sendto on socket 10.0.0.1:8000 -> 10.0.0.2:40000",
    (
        *BEGINS,
        Frame("handler", "/srv/server.py", 5, "ws.send(frame)"),
        Frame("Connection.send", CONNECTION, 502, "with self.send_context():"),
        Frame("_GeneratorContextManager.__exit__", f"{LIB}/contextlib.py", 144, "next(self.gen)"),
        Frame("Connection.send_context", CONNECTION, 1037, "self.send_data()"),
        Frame("Connection.send_data", CONNECTION, 1098, "self.socket.sendall(data)"),
    ),
    holds=(MUTEX,),
)
KEEPALIVE = Thread(
    14,
    "Thread-3 (keepalive)",
    "futex, for a lock or a condition",
    (
        *BEGINS,
        Frame("Connection.keepalive", CONNECTION, 820, "pong_received = self.ping(ack_on_close=True)"),
        Frame("Connection.ping", CONNECTION, 697, "with self.send_context():"),
        Frame("Connection.send_context", CONNECTION, 1009, "with self.protocol_mutex:"),
    ),
    waits_for=MUTEX,
)
MAIN = Thread(
    10,
    "MainThread",
    "epoll_wait, for something to happen",
    (Frame("EpollSelector.select", f"{LIB}/selectors.py", 468, "events = self._selector.poll(timeout, most)"),),
)


def dumped(*threads: Thread) -> Dump:
    return Dump(10, "py-spy", None, threads)


def heads(*threads: Thread) -> list[str]:
    return [line for line in render(dumped(*threads), 120) if line.startswith("thread")]


def test_the_incident_at_120_columns() -> None:
    assert render(dumped(MAIN, HANDLER, KEEPALIVE), 120) == [
        "thread 12 (sock_handler): in sendall, holds protocol_mutex",
        "    handler (srv/server.py:5)",
        "      ws.send(frame)",
        "    Connection.send (websockets/sync/connection.py:502)",
        "      with self.send_context():",
        "    _GeneratorContextManager.__exit__ (lib/python3.11/contextlib.py:144)",
        "      next(self.gen)",
        "    Connection.send_context (websockets/sync/connection.py:1037)",
        "      self.send_data()",
        "    Connection.send_data (websockets/sync/connection.py:1098)",
        "      self.socket.sendall(data)",
        "    sendto on socket 10.0.0.1:8000 -> 10.0.0.2:40000",
        "thread 14 (keepalive): waits for protocol_mutex, held by thread 12",
        "    Connection.keepalive (websockets/sync/connection.py:820)",
        "      pong_received = self.ping(ack_on_close=True)",
        "    Connection.ping (websockets/sync/connection.py:697)",
        "      with self.send_context():",
        "    Connection.send_context (websockets/sync/connection.py:1009)",
        "      with self.protocol_mutex:",
        "    futex, for a lock or a condition",
        "thread 10 (MainThread): in poll",
        "    EpollSelector.select (lib/python3.11/selectors.py:468)",
        "      events = self._selector.poll(timeout, most)",
        "    epoll_wait, for something to happen",
        "(locks: by the source, from where each thread is in it)",
    ]


def test_no_line_is_wider_than_asked() -> None:
    lines = render(dumped(MAIN, HANDLER, KEEPALIVE), 60)
    assert max(map(len, lines)) == 60
    assert "thread 14 (keepalive): waits for protocol_mutex, held by th…" in lines


def test_of_deep_stacks_the_innermost_frames_are_shown() -> None:
    deep = Thread(7, "deep", "futex", tuple(Frame(f"f{n}", "/srv/a.py", n, "") for n in range(9)), holds=(MUTEX,))
    frames = [f"    f{n} (srv/a.py:{n})" for n in range(3, 9)]
    head = "thread 7 (deep): in f8, holds protocol_mutex"
    assert render(dumped(deep), 80)[:-1] == [head, "    ...", *frames, "    futex"]


def test_locks_of_one_name_are_told_apart_by_what_they_belong_to() -> None:
    other = Thread(16, "other", "sendto", HANDLER.frames, holds=(Lock("protocol_mutex", "ServerConnection at 0x20"),))
    assert heads(HANDLER, other)[1] == (
        "thread 16 (other): in sendall, holds protocol_mutex of ServerConnection at 0x20"
    )


def test_a_lock_that_nobody_is_seen_to_hold_is_told_so() -> None:
    assert heads(KEEPALIVE) == ["thread 14 (keepalive): waits for protocol_mutex, holder unknown"]


def test_one_that_waits_may_hold_another() -> None:
    both = Thread(15, "both", "futex", KEEPALIVE.frames, holds=(Lock("lock", "Box at 0x1"),), waits_for=MUTEX)
    assert heads(both, HANDLER)[1] == "thread 15 (both): waits for protocol_mutex, held by thread 12, holds lock"


def test_of_one_that_waits_in_python_itself_its_own_line_is_told() -> None:
    waits = Frame("Condition.wait", f"{LIB}/threading.py", 320, "waiter.acquire()")
    get = Frame("Queue.get", f"{LIB}/queue.py", 171, "self.not_empty.wait()")
    assert render(dumped(Thread(5, "worker", "futex", (*BEGINS, get, waits))), 80) == [
        "thread 5 (worker): in wait",
        "    Queue.get (lib/python3.11/queue.py:171)",
        "      self.not_empty.wait()",
        "    futex",
    ]


def test_threads_that_do_the_same_are_told_together() -> None:
    threads = tuple(Thread(tid, "node", "epoll_wait" if tid < 3 else "futex") for tid in range(1, 9))
    assert render(Dump(1, "proc", "not a Python process, so that only the kernel tells of it", threads), 50) == [
        "no frames: not a Python process, so that only the",
        "  kernel tells of it",
        "threads 1, 2 (node): epoll_wait",
        "threads 3, 4, 5, 6 and 2 more (node): futex",
    ]


def test_a_crowd_that_waits_for_one_lock_is_told_together() -> None:
    crowd = [dataclasses.replace(KEEPALIVE, tid=tid) for tid in range(20, 262)]
    assert heads(HANDLER, *crowd)[1:] == [
        "threads 20, 21, 22, 23 and 238 more (keepalive): waits for protocol_mutex, held by thread 12"
    ]


def test_what_they_wait_at_is_not_told_of_many() -> None:
    threads = [Thread(tid, f"Thread-{tid} (reader)", f"recvfrom on socket {tid}", MAIN.frames) for tid in (1, 2)]
    assert render(dumped(*threads), 80)[::3] == ["threads 1, 2 (reader): in poll", "    recvfrom"]
