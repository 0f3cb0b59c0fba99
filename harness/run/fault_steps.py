"""Do a fault and await a session's end, for a scenario's agenda or a test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.run.observer import Observer
from halfopen.scenario.spec import Scenario, Step
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Timing, due

#: Seconds to keep watching past the deadline of an end that must come.
_BEYOND = 0.5
#: Most times the wait is extended, since one stall may follow another forever.
_EXTENSIONS = 2


def begin(step: Step, number: int, scene: Scene, journal: Journal) -> contextlib.ExitStack:
    """Do a fault. Return a stack that undoes it when closed. Raises FaultError, TimeoutError."""
    with contextlib.ExitStack() as undo:
        # Noted before entering and before leaving, so that the fault's effects come after it in the timeline.
        journal.note("fault", "begun", step=number, fault=step.fault)
        undo.enter_context(step.module.fault(scene, step.options))
        undo.callback(journal.note, "fault", "undone", step=number, fault=step.fault)
        return undo.pop_all()


def look_on(
    watch: Observer,
    journal: Journal,
    scenario: Scenario,
    terms: Timing,
    until: float,
    on_later: Callable[[float], None] = lambda _: None,
) -> None:
    """Watch until ``until`` (monotonic clock), and longer for an end that must come later.

    Such an end may be due later if a stall began meanwhile. ``on_later`` is called with the new moment.
    """
    watch.until(until)
    if terms.hold is not None:
        return
    for _ in range(_EXTENSIONS):
        moment = due(scenario, find(journal.timeline(), scenario), terms)
        if moment is not None and journal.start + moment + _BEYOND > until:
            until = journal.start + moment + _BEYOND
            on_later(until)
            watch.until(until)
