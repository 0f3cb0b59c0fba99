"""Locks in a function's source, and sources that leave them open."""

from __future__ import annotations

import textwrap

import pytest

from halfopen.thread_dump.source import SourceFile

HERE = "# here"


def at(text: str) -> tuple[SourceFile, int]:
    """Return the source, and the marked line."""
    text = textwrap.dedent(text)
    (line,) = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith(HERE)]
    return SourceFile(text), line


def held(text: str, function: str = "f") -> list[str]:
    source, line = at(text)
    return source.held_at(function, line)


def taken(text: str, function: str = "f") -> str | None:
    source, line = at(text)
    return source.taken_at(function, line)


def test_the_body_of_a_with_holds() -> None:
    text = """
        def f(self):
            with self.mutex:
                if True:
                    work()  # here
    """
    assert held(text, "Owner.f") == ["self.mutex"]


def test_locks_within_locks_are_all_held() -> None:
    text = """
        def f():
            with a, b.c:
                with d:
                    work()  # here
    """
    assert held(text) == ["a", "b.c", "d"]


def test_what_is_acquired_and_released_in_the_end_is_held_between() -> None:
    text = """
        def f():
            lock.acquire()
            try:
                work()  # here
            finally:
                lock.release()
    """
    assert held(text) == ["lock"]


@pytest.mark.parametrize(
    "text",
    [
        # After it, at its head (where the lock is also released), before it.
        "def f():\n    with lock:\n        a()\n    b()  # here",
        "def f():\n    with lock:  # here\n        a()",
        "def f():\n    a()  # here\n    with lock:\n        b()",
        # The call may return anything.
        "def f():\n    with open(name):\n        a()  # here",
        "def f():\n    with self.lock():\n        a()  # here",
        "def f():\n    with self.locks[0]:\n        a()  # here",
        # A coroutine's lock is not its thread's.
        "async def f():\n    async with lock:\n        a()  # here",
        # Released inside.
        "def f():\n    with lock:\n        lock.release()\n        a()  # here\n        lock.acquire()",
        # It may not have got the lock.
        "def f():\n    lock.acquire(False)\n    try:\n        a()  # here\n    finally:\n        lock.release()",
        "def f():\n    lock.acquire(timeout=1)\n    try:\n        a()  # here\n    finally:\n        lock.release()",
        "def f():\n  lock.acquire()\n  try:\n    a()\n  finally:\n    b()  # here\n    lock.release()",
        "def f():\n  lock.acquire()\n  try:\n    lock.release()\n    a()  # here\n  finally:\n    lock.release()",
        # All on one line, so it may still be taking the lock.
        "def f():\n    with lock: a()  # here",
        # Written inside, called later.
        "def g():\n    with lock:\n        def f():\n            a()  # here",
        # Not the running code: another function is there now.
        "def g():\n    with lock:\n        a()  # here",
        # Not this Python's syntax.
        "def f():\n    with lock:\n        print 'x'  # here",
    ],
)
def test_a_lock_is_not_told_where_there_may_be_none(text: str) -> None:
    assert held(text) == []


def test_a_function_without_a_name_within_a_with_has_not_what_that_has() -> None:
    text = "def f():\n    with lock:\n        return [\n            a()  # here\n        ]"
    assert held(text, "f.<locals>.<listcomp>") == []
    assert held(text, "f") == ["lock"]


def test_the_head_of_a_with_takes() -> None:
    assert taken("def f():\n    with lock:  # here\n        a()") == "lock"
    assert taken("def f():\n    lock.acquire()  # here") == "lock"


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    with lock:\n        a()  # here",
        "def f():\n    with lock: a()  # here",
        "def f():\n    with a, b:  # here\n        c()",
        "def f():\n    with open(name):  # here\n        a()",
        "def f():\n    lock.acquire(timeout=1)  # here",
        "def f():\n    a.acquire() or b.acquire()  # here",
    ],
)
def test_what_is_taken_is_told_only_where_that_is_all_there_is(text: str) -> None:
    assert taken(text) is None


def test_a_name_is_global_only_if_no_function_around_has_its_own() -> None:
    text = "lock = Lock()\ndef outer(other):\n    mine = Lock()\n    def f():\n        a()  # here"
    source, line = at(text)
    assert [source.is_global(name, line) for name in ("lock", "other", "mine", "nowhere")] == [
        True,
        False,
        False,
        False,
    ]
