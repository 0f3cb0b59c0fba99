"""Every scenario of a dying or leaving client proves its fault: without the fault, nothing is proved.

Runs in guests, where waiting costs nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen import faults, plugins
from halfopen.cli import app
from halfopen.faults import noop
from halfopen.scenario import suites
from halfopen.scenario.scenario_file import load
from halfopen.scenario.spec import Scenario
from tests.harness.cli.tool import by_scenario
from tests.in_guest import in_guest
from tests.machine import needs_guest, needs_haproxy, needs_nginx

pytestmark = needs_guest

#: Few enough for one guest.
AT_ONCE = 10
NEEDS = {"nginx": [needs_nginx], "haproxy": [needs_haproxy]}
WITH_FAULTS = [
    scenario
    for suite in ("dead", "ended", "bystanders", "return", "storm")
    for scenario in (load(path, f"{suite}/{path.stem}") for path in suites.shipped()[suite])
    if scenario.steps
]
SHARES = [WITH_FAULTS[n : n + AT_ONCE] for n in range(0, len(WITH_FAULTS), AT_ONCE)]


def _needs(scenario: Scenario) -> list[pytest.MarkDecorator]:
    return NEEDS[scenario.edge.proxy] if scenario.edge else []


@in_guest
def without_faults(names: list[str]) -> dict[str, tuple[str, str]]:
    """Return the verdict on each scenario with its faults left out, and the reason."""
    for name in plugins.names(faults):
        plugins.load(faults, name).fault = noop.fault  # type: ignore[attr-defined]
    folder = Path("/tmp/unmeant")
    # The guest is the host here, and its virtual clock the real one.
    surroundings = ("--kernel", "host", "--clock", "real")
    app.call(["run", *names, *surroundings, "--grace", "5s", "--seed", "7", "--out", str(folder)])
    return {name: (run["verdict"], run["why"]) for name, run in by_scenario(folder).items()}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for share in SHARES:
        found |= without_faults([scenario.called for scenario in share])
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(scenario.name, id=scenario.called, marks=_needs(scenario)) for scenario in WITH_FAULTS]
)
def test_an_unmeant_fault_proves_nothing(name: str, verdicts: dict[str, tuple[str, str]]) -> None:
    verdict, why = verdicts[name]
    assert verdict == "inconclusive", why
