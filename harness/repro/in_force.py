"""Faults in force in a held session: steps of the scenario, and faults injected by hand."""

from __future__ import annotations

import contextlib
import time

from halfopen.repro.view import InForce
from halfopen.run.session import Session
from halfopen.scenario.spec import Step, step_of


class Faults:
    """Begin faults and undo them. The session undoes what is left when it is closed."""

    def __init__(self, session: Session, numbered_from: int) -> None:
        """``numbered_from`` is the first number that is free for faults injected by hand."""
        self._session = session
        self._next = numbered_from
        self._in_force: dict[int, tuple[Step, InForce]] = {}

    @property
    def now(self) -> tuple[InForce, ...]:
        """The faults in force."""
        return tuple(fault for _, fault in self._in_force.values())

    def begin(self, step: Step, number: int) -> float:
        """Begin a step of the scenario; returns when it came into force.

        Raises FaultError, TimeoutError.
        """
        since = time.monotonic() - self._session.journal.start
        self._session.begin(step, number)
        self._in_force[number] = (step, InForce(step.fault, since))
        return since

    def begin_by_hand(self, fault: str) -> None:
        """Begin a fault without options; raises FaultError, TimeoutError."""
        at = max(0.0, time.monotonic() - self._session.journal.start)
        number, self._next = self._next, self._next + 1
        self.begin(step_of({"at": f"{at:.6f}s", "fault": fault}, fault), number)

    def has(self, name: str) -> bool:
        """True if a fault of this name is in force."""
        return any(fault.fault == name for fault in self.now)

    @property
    def stop_client(self) -> bool:
        """True if a fault that stops the client is in force."""
        return any(getattr(step.module, "STOPS_CLIENT", False) for step, _ in self._in_force.values())

    def undo_all(self, *, stopping: bool) -> list[str]:
        """Undo the faults that stop the client, or else all others that can be undone; returns their names."""
        chosen = [
            number
            for number, (step, _) in self._in_force.items()
            if getattr(step.module, "STOPS_CLIENT", False) == stopping and not getattr(step.module, "IS_FINAL", False)
        ]
        names = [self._in_force[number][1].fault for number in chosen]
        for number in reversed(chosen):
            self.undo(number)
        return names

    def undo(self, number: int) -> None:
        """Undo one fault, if it is still in force."""
        self._in_force.pop(number, None)
        # If the server no longer answers the undoing, the fault counts as over all the same.
        with contextlib.suppress(TimeoutError):
            self._session.undo(number)
