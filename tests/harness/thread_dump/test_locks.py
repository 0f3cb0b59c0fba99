"""Locks held and awaited by threads, from frames as py-spy shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from halfopen.thread_dump import locks, pyspy
from halfopen.thread_dump.frames import Lock
from halfopen.thread_dump.locks import Locks, Stack
from halfopen.thread_dump.pyspy import LocalVariable, PythonFrame
from halfopen.thread_dump.source import SourceFile

FIXTURES = Path(__file__).parents[2] / "fixtures" / "threads"
SELF = LocalVariable("self", 0x10, "<Box at 0x10>")
OTHER = LocalVariable("self", 0x20, "<Box at 0x20>")
BOX = Lock("mutex", "Box at 0x10")

TEXT = """\
def hold(self):
    with self.mutex:
        work()
def want(self):
    with self.mutex:
        work()
def has_file(self):
    with self.file:
        work()
def opens_file(self):
    with self.file:
        work()
"""


def frame(function: str, line: int, *variables: LocalVariable, file: str = "/srv/box.py") -> PythonFrame:
    return PythonFrame(function, file, line, list(variables))


HOLDS = frame("Box.hold", 3, SELF)
WANTS = frame("Box.want", 5, SELF)


def inferred(*stacks: tuple[Sequence[PythonFrame], bool | None], text: str = TEXT) -> list[Locks]:
    source = SourceFile(text)
    return locks.infer([Stack(frames, awaits) for frames, awaits in stacks], {"/srv/box.py": source}.get)


def test_the_incident() -> None:
    """Recorded from a running process: the sender in sendall with the lock, the keepalive that waits for it."""
    threads = pyspy.parse((FIXTURES / "wedged.json").read_text())
    source = SourceFile((FIXTURES / "wedged.py").read_text())
    awaiting = {"keepalive": True, "sender": False, "MainThread": True}
    stacks = [Stack(thread.frames, awaiting[str(thread.thread_name)]) for thread in threads]
    found = locks.infer(stacks, {"/srv/wedged.py": source}.get)
    by_name = {thread.thread_name: its for thread, its in zip(threads, found, strict=True)}
    (lock,) = by_name["sender"].holds
    assert lock.name == "mutex"
    assert lock.of.startswith("Connection at 0x")
    assert by_name["sender"].waits_for is None
    assert by_name["keepalive"] == Locks((), lock)
    # Another connection's lock, held by another name: not the awaited one.
    (others,) = by_name["MainThread"].holds
    assert others != lock


def test_who_holds_and_who_waits() -> None:
    assert inferred(([HOLDS], False), ([WANTS], True)) == [Locks((BOX,), None), Locks((), BOX)]


def test_the_same_lock_of_another_object_is_another_lock() -> None:
    held, waiting = inferred(([HOLDS], False), ([frame("Box.want", 5, OTHER)], True))
    assert held.holds == (BOX,)
    assert waiting.waits_for == Lock("mutex", "Box at 0x20")


def test_one_whose_object_is_unknown_is_not_told() -> None:
    assert inferred(([frame("Box.hold", 3)], False)) == [Locks((), None)]


def test_who_is_at_the_line_but_not_at_a_futex_does_not_wait() -> None:
    # On its way in or out, or waiting for the GIL.
    assert inferred(([HOLDS], False), ([WANTS], False))[1] == Locks((), None)


def test_where_the_kernel_does_not_tell_another_thread_must_hold_it() -> None:
    assert inferred(([WANTS], None)) == [Locks((), None)]
    assert inferred(([HOLDS], None), ([WANTS], None))[1].waits_for == BOX


def test_what_is_called_so_that_it_may_be_no_lock_is_one_if_another_thread_waits_there() -> None:
    holder, wanter = frame("Box.has_file", 9, SELF), frame("Box.opens_file", 11, SELF)
    assert inferred(([holder], False)) == [Locks((), None)]
    assert inferred(([wanter], True)) == [Locks((), None)]
    assert [its != Locks((), None) for its in inferred(([holder], False), ([wanter], True))] == [True, True]


@pytest.mark.parametrize(
    ("name", "is_lock"),
    [
        ("lock", True),
        ("_send_lock", True),
        ("rlock", True),
        ("protocol_mutex", True),
        ("cond", True),
        ("block", False),
        ("clock", False),
        ("unlocked", False),
        ("second", False),
        ("file", False),
    ],
)
def test_locks_are_known_by_their_names(name: str, is_lock: bool) -> None:
    text = TEXT.replace("mutex", name)
    assert bool(inferred(([HOLDS], False), text=text)[0].holds) is is_lock


def test_a_local_is_a_lock_by_its_type() -> None:
    text = "def f():\n    with it:\n        work()"
    for shown, is_lock in (
        ("<lock at 0x30>", True),
        ("<_thread.RLock object at 0x30>", True),
        ("<File at 0x30>", False),
    ):
        found = inferred(([frame("f", 3, LocalVariable("it", 0x30, shown))], False), text=text)
        assert bool(found[0].holds) is is_lock


def test_a_condition_that_is_waited_for_is_not_held() -> None:
    text = "def f(self):\n    with self.cond:\n        self.cond.wait()"
    waiting = frame("Condition.wait", 320, file="/usr/lib/python3.11/threading.py")
    assert inferred(([waiting, frame("Box.f", 3, SELF)], True), text=text) == [Locks((), None)]


def test_an_event_that_is_waited_for_sets_free_no_lock_but_its_own() -> None:
    text = "def f(self):\n    with self.mutex:\n        self.event.wait()"
    threading = "/usr/lib/python3.11/threading.py"
    frames = [frame("Condition.wait", 320, file=threading), frame("Event.wait", 607, file=threading)]
    assert inferred(([*frames, frame("Box.f", 3, SELF)], True), text=text) == [Locks((BOX,), None)]
    # As named by older Pythons, it might as well be a condition.
    unqualified = [frame("wait", 320, file=threading), frame("wait", 607, file=threading)]
    assert inferred(([*unqualified, frame("f", 3, SELF)], True), text=text) == [Locks((), None)]


def test_one_waits_also_in_what_python_itself_puts_between() -> None:
    enters = frame("Condition.__enter__", 271, file="/usr/lib/python3.11/threading.py")
    assert inferred(([HOLDS], False), ([enters, WANTS], True))[1].waits_for == BOX


def test_a_global_lock_is_one_for_all() -> None:
    text = "lock = Lock()\ndef f():\n    with lock:\n        a()\ndef g():\n    with lock:\n        a()"
    found = inferred(([frame("f", 4)], False), ([frame("g", 6)], True), text=text)
    assert found == [Locks((Lock("lock", "/srv/box.py"),), None), Locks((), Lock("lock", "/srv/box.py"))]


def test_a_file_that_is_not_there_tells_of_no_lock() -> None:
    stack = Stack([frame("Box.hold", 3, SELF, file="/srv/gone.py")], False)
    assert locks.infer([stack], lambda _: None) == [Locks((), None)]
