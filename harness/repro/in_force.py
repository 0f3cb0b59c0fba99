"""Faults in force in a held session: steps of the scenario, and faults injected by hand."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Self

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.repro.view import InForce
from halfopen.run import fault_steps
from halfopen.scenario.spec import Step, step_of


class Faults:
    """Begin faults and undo them. Use it as a context manager: leaving it undoes them all."""

    def __init__(self, scene: Scene, journal: Journal, numbered_from: int) -> None:
        """``numbered_from`` is the first number that is free for faults injected by hand."""
        self._scene, self._journal = scene, journal
        self._next = numbered_from
        self._undo: dict[int, tuple[Step, InForce, contextlib.ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for number in sorted(self._undo, reverse=True):
            self.undo(number)

    @property
    def now(self) -> tuple[InForce, ...]:
        """The faults in force."""
        return tuple(fault for _, fault, _ in self._undo.values())

    def begin(self, step: Step, number: int) -> float:
        """Begin a step of the scenario; returns when it came into force.

        Raises FaultError, TimeoutError.
        """
        since = time.monotonic() - self._journal.start
        undo = fault_steps.begin(step, number, self._scene, self._journal)
        self._undo[number] = (step, InForce(step.fault, since), undo)
        return since

    def begin_by_hand(self, fault: str) -> None:
        """Begin a fault without options; raises FaultError, TimeoutError."""
        at = max(0.0, time.monotonic() - self._journal.start)
        number, self._next = self._next, self._next + 1
        self.begin(step_of({"at": f"{at:.6f}s", "fault": fault}, fault), number)

    def has(self, name: str) -> bool:
        """True if a fault of this name is in force."""
        return any(fault.fault == name for fault in self.now)

    @property
    def stop_client(self) -> bool:
        """True if a fault that stops the client is in force."""
        return any(getattr(step.module, "STOPS_CLIENT", False) for step, *_ in self._undo.values())

    def undo_all(self, *, stopping: bool) -> list[str]:
        """Undo the faults that stop the client, or else all others that can be undone; returns their names."""
        chosen = [
            number
            for number, (step, *_) in self._undo.items()
            if getattr(step.module, "STOPS_CLIENT", False) == stopping and not getattr(step.module, "IS_FINAL", False)
        ]
        names = [self._undo[number][0].fault for number in chosen]
        for number in reversed(chosen):
            self.undo(number)
        return names

    def undo(self, number: int) -> None:
        """Undo one fault, if it is still in force."""
        found = self._undo.pop(number, None)
        # If the server no longer answers the undoing, the fault counts as over all the same.
        with contextlib.suppress(TimeoutError):
            if found is not None:
                found[-1].close()
