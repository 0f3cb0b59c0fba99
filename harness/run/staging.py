"""How a fault is staged and a session's end awaited, whoever directs: a scenario's agenda, or a test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.run.observer import Watch
from halfopen.scenario.spec import Scenario, Step
from halfopen.verdict.findings import find
from halfopen.verdict.judge import Terms, due

#: An end that must come is looked for so much longer than it may take, seconds.
_BEYOND = 0.5
#: So often the wait is made longer at most, since one stall may follow the other for ever.
_EXTENSIONS = 2


def begin(step: Step, number: int, scene: Scene, journal: Journal) -> contextlib.ExitStack:
    """Do a fault; gives what undoes it when closed. Raises FaultError, TimeoutError."""
    with contextlib.ExitStack() as undo:
        # Noted before it is entered, and before it is left: what it causes must not come before it in the timeline.
        journal.note("fault", "begun", step=number, fault=step.fault)
        undo.enter_context(step.module.fault(scene, step.options))
        undo.callback(journal.note, "fault", "undone", step=number, fault=step.fault)
        return undo.pop_all()


def look_on(
    watch: Watch,
    journal: Journal,
    scenario: Scenario,
    terms: Terms,
    until: float,
    on_later: Callable[[float], None] = lambda _: None,
) -> None:
    """Look until the moment ``until`` (of the monotonic clock), and on for an end that must come, maybe long after it.

    Such an end may be due later where a stall only began meanwhile. ``on_later`` is called with the new moment.
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
