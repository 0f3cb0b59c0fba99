"""Faults that heal, in a guest: proved if they happened, not proved if not, and undone without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from halfopen.cli import app
from halfopen.faults import cut, freeze, hold_gil, noop
from halfopen.model import timeline
from halfopen.model.evidence import established
from halfopen.model.timeline import Timeline
from tests.harness.cli.tool import by_scenario
from tests.in_guest import in_guest
from tests.machine import needs_guest

pytestmark = needs_guest

#: Each scenario with the text reported if its fault was left out.
SCENARIOS = {
    "outage_short": "the path was to go dark, but was never cut",
    "gil_starved": "the server was to hold its interpreter's lock, but nobody said that it does",
    "stop_the_world": "the client was to freeze, but it went on acknowledging",
}


class Told(NamedTuple):
    code: int
    runs: dict[str, dict[str, Any]]
    seen: dict[str, Timeline]


@in_guest
def heal(*, meant: bool) -> Told:
    if not meant:
        cut.fault = noop.fault  # type: ignore[assignment]
        freeze.fault = noop.fault  # type: ignore[assignment]
        hold_gil.fault = noop.fault  # type: ignore[assignment]
    folder = Path("/tmp/heal")
    folder.mkdir()
    names = [f"alive/{name}" for name in SCENARIOS]
    # The guest is the host here, and its virtual clock the real one.
    surroundings = ("--kernel", "host", "--clock", "real", "--jobs", "1")
    code = app.call(["run", *names, *surroundings, "--grace", "10s", "--seed", "7", "--out", str(folder)])
    seen = {name: timeline.read(folder / "timelines" / f"{name}.jsonl") for name in SCENARIOS}
    return Told(code, by_scenario(folder), seen)


@pytest.fixture(scope="module")
def told() -> Told:
    return heal(meant=True)


@pytest.fixture(scope="module")
def unmeant() -> Told:
    return heal(meant=False)


def test_all_are_survived_and_shown(told: Told) -> None:
    assert {name: run["verdict"] for name, run in told.runs.items()} == dict.fromkeys(SCENARIOS, "passed")
    assert told.code == 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_bytes_flow_again_once_it_is_undone(told: Told, name: str) -> None:
    undone = [e.t for e in told.seen[name].of("fault", "undone")][-1]
    samples = established(told.seen[name])
    acknowledged = {s.bytes_acked for s in samples if s.t > undone}
    assert len(acknowledged) > 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_that_was_left_out_is_inconclusive_and_never_passes(unmeant: Told, name: str) -> None:
    assert unmeant.runs[name]["verdict"] == "inconclusive"
    assert SCENARIOS[name] in unmeant.runs[name]["why"]
