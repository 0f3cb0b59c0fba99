"""The faults of a scenario's steps on one client, or on a crowd, while they are in force."""

from __future__ import annotations

import contextlib

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.scenario.spec import Step


class FaultsInForce:
    """Does and undoes faults, and notes both."""

    def __init__(self, journal: Journal, scene: Scene) -> None:
        self._journal, self._scene = journal, scene
        self._in_force: dict[int, contextlib.ExitStack] = {}

    def begin(self, step: Step, number: int) -> None:
        """Do a fault; raises FaultError, TimeoutError."""
        step.prepare()
        with contextlib.ExitStack() as undo:
            # Noted before entering and before leaving, so that the fault's effects come after it in the timeline.
            self._journal.note("fault", "begun", step=number, fault=step.fault)
            undo.enter_context(step.module.fault(self._scene, step.options))
            undo.callback(self._journal.note, "fault", "undone", step=number, fault=step.fault)
            self._in_force[number] = undo.pop_all()

    def undo(self, number: int) -> None:
        """Undo a fault, if it is still in force; raises TimeoutError if the server no longer answers to that."""
        if (fault := self._in_force.pop(number, None)) is not None:
            fault.close()

    def undo_all(self) -> None:
        """Undo the faults in force, the last first. They are over even if the server no longer answers to that."""
        for number in reversed(list(self._in_force)):
            with contextlib.suppress(TimeoutError):
                self.undo(number)
