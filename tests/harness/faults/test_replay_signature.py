from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from halfopen.errors import InputError
from halfopen.faults import replay
from halfopen.model import timeline
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Event
from halfopen.netns.impairment import NONE
from halfopen.netns.lab_errors import UnsupportedError
from tests.harness.lines import flowing

#: Seconds to wait for a thread that wakes after a millisecond.
PATIENCE = 20.0


def changed(t: float, number: int, next_in: float | None, *differences: str) -> Event:
    data: dict[str, Any] = {"number": number, "next_in": next_in, "differences": list(differences)}
    return Event(t=t, kind="fault", name="replayed", data=data)


class Unwilling:
    """A scene whose link, also its own link, accepts one change and no more."""

    client_host = "client"

    def __init__(self, why: Exception) -> None:
        self.link, self.failed = self, threading.Event()
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self._why, self._changes = why, 0

    def note(self, name: str, **data: Any) -> None:
        self.noted.append((name, data))
        if name == "replay_failed":
            self.failed.set()

    def impair(self, *_: object) -> None:
        self._changes += 1
        # Each change has two directions. Undoing them comes after the failure.
        if self._changes == 3:
            raise self._why

    def seeded(self, impairment: object) -> object:
        return impairment

    def other(self, _: str) -> str:
        return "router"

    def asked(self, _: str) -> object:
        return NONE

    def does(self, _: str) -> SimpleNamespace:
        return SimpleNamespace(impairment=NONE)

    def differences(self, _: str) -> list[str]:
        return []


def proof(*events: Event, until: float = 20.0) -> Proof:
    return replay.signature(timeline.make(flowing(0, until), events))


def test_changes_that_came_when_they_were_due_are_a_proof() -> None:
    assert proof(changed(5, 0, 4), changed(9, 1, None)) == Proof(True, "recorded link replayed, 2 changes")


def test_a_session_that_ended_before_the_next_change_has_seen_all_that_was_due() -> None:
    assert proof(changed(5, 0, 60)) == Proof(True, "recorded link replayed, 1 change")


def test_a_change_that_never_came_proves_nothing() -> None:
    late = Proof(False, "a recorded link was to be replayed, but its change at 5.0s was the last")
    assert proof(changed(5, 0, 4)) == late


def test_a_link_that_does_something_else_proves_nothing() -> None:
    loss = "loss: asked 100%, in force 50%"
    told = proof(changed(5, 0, 4, "seed: asked 7, in force none"), changed(9, 1, None, loss))
    assert told == Proof(False, f"a recorded link was to be replayed, but it was not as asked: {loss}")


@pytest.mark.parametrize("why", [OSError(28, "No space left"), UnsupportedError("this kernel has no netem")])
def test_a_change_that_cannot_be_made_is_told_with_the_reason(why: Exception) -> None:
    scene = Unwilling(why)
    with replay.fault(scene, replay.Options.from_table({"trace": "time, loss\n0\n0.001, 1\n9"}, "t")):  # type: ignore[arg-type]
        assert scene.failed.wait(PATIENCE)
    seen = timeline.make(
        flowing(0, 20.0), [Event(t=5, kind="fault", name=name, data=data) for name, data in scene.noted]
    )
    cause = f"a recorded link was to be replayed, but its change at 5.0s could not be made: {why}"
    assert replay.signature(seen) == Proof(False, cause)


def test_a_kernel_that_says_nothing_proves_nothing() -> None:
    assert not proof().shown


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "step 1: key 'trace' is missing"),
        ({"trace": 7}, "step 1: key 'trace' takes text in quotes, got 7"),
        ({"trase": ""}, "step 1: unknown key 'trase'; did you mean 'trace'?"),
        ({"trace": "time, loss\n0, 2\n1"}, "step 1: trace: line 2: key 'loss'"),
    ],
)
def test_options_that_are_none_are_told(table: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as refused:
        replay.Options.from_table(table, "step 1")
    assert str(refused.value).startswith(told)
