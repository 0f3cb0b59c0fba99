"""Turns to start a server: as many at once as there are processors, and more while some are idle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from halfopen.netns.processors import Processors
from halfopen.run import start_queue
from halfopen.run.observer import Stop, Stopped
from halfopen.run.start_queue import StartQueue


class Counted(Processors):
    """Processors whose idle ones a test sets."""

    def __init__(self, count: int) -> None:
        self.number, self.idle_now = count, 0.0

    @property
    def count(self) -> int:
        return self.number

    def idle(self) -> float:
        return self.idle_now


class Runs:
    """Threads that each take a turn, and keep it until a test ends it."""

    def __init__(self, queue: StartQueue, number: int) -> None:
        self.stop = Stop()
        self.changed = threading.Condition()
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.may_end = [threading.Event() for _ in range(number)]
        self.threads = [threading.Thread(target=self._run, args=(queue, n)) for n in range(number)]
        for n, thread in enumerate(self.threads):
            thread.start()
            # In line before the next one comes, so that the order is known.
            self.await_(partial(self._is_in, queue, n))

    def _run(self, queue: StartQueue, number: int) -> None:
        try:
            with queue.turn(self.stop) as end:
                with self.changed:
                    self.started.append(number)
                    self.changed.notify_all()
                self.may_end[number].wait()
                end()
        except Stopped:
            self.stopped.append(number)

    def _is_in(self, queue: StartQueue, number: int) -> bool:
        return len(queue._line) + len(self.started) > number

    def await_(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            while not condition():
                self.changed.wait(0.01)

    def await_started(self, count: int) -> None:
        self.await_(lambda: len(self.started) == count)

    def close(self) -> None:
        self.stop.requested = True
        for event in self.may_end:
            event.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def slow() -> list[str]:
    return []


@pytest.fixture
def two(slow: list[str]) -> Iterator[tuple[Counted, Runs]]:
    processors = Counted(2)
    runs = Runs(StartQueue(slow.append, processors), 5)
    yield processors, runs
    runs.close()


def test_as_many_start_as_there_are_processors_in_the_order_of_their_coming(two: tuple[Counted, Runs]) -> None:
    _, runs = two
    runs.await_started(2)
    for ended, expected in ((0, [0, 1, 2]), (2, [0, 1, 2, 3]), (1, [0, 1, 2, 3, 4])):
        assert runs.started == expected[:-1]
        runs.may_end[ended].set()
        runs.await_started(len(expected))
        assert runs.started == expected


def test_servers_that_wait_for_something_hold_up_no_other(two: tuple[Counted, Runs]) -> None:
    processors, runs = two
    runs.await_started(2)
    processors.idle_now = 1.5
    runs.await_started(5)
    assert not any(event.is_set() for event in runs.may_end)


def test_a_run_that_is_stopped_waits_no_longer(two: tuple[Counted, Runs]) -> None:
    _, runs = two
    runs.await_started(2)
    runs.stop.requested = True
    for thread in runs.threads[2:]:
        thread.join()
    assert sorted(runs.stopped) == [2, 3, 4]


def test_a_turn_ends_with_its_run_even_if_that_fails() -> None:
    queue = StartQueue(processors=Counted(1))
    with pytest.raises(ZeroDivisionError), queue.turn(Stop()):
        raise ZeroDivisionError
    with queue.turn(Stop()) as end:
        end()
        with queue.turn(Stop()):
            pass


def test_slow_starts_are_reported_once_with_what_was_measured(monkeypatch: pytest.MonkeyPatch, slow: list[str]) -> None:
    monkeypatch.setattr(start_queue, "_SLOW_AFTER", 0.0)
    runs = Runs(StartQueue(slow.append, Counted(1)), 4)
    runs.may_end[0].set()
    runs.await_started(2)
    runs.close()
    [sentence] = slow
    assert sentence.startswith("starting is slow, because the only processor is busy: 0 of ")
    assert sentence.endswith("; fewer runs at once are easier on this machine: --jobs 1")


def test_nothing_is_said_of_quick_starts(slow: list[str]) -> None:
    runs = Runs(StartQueue(slow.append, Counted(1)), 3)
    for event in runs.may_end:
        event.set()
    runs.await_started(3)
    runs.close()
    assert slow == []
