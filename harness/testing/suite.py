"""Scenarios as items of a pytest run. All run side by side while pytest waits for one after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.netns import processes, units
from halfopen.netns.lab_errors import UnitError
from halfopen.run import request
from halfopen.run.request import RunRequest
from halfopen.scenario.spec import Scenario
from halfopen.scenario.target_spec import TargetSpec, load
from halfopen.spawn.peers import Child, PeerLostError
from halfopen.testing import plugin, share
from halfopen.testing.channel import environment
from halfopen.testing.share import Dismissed, Result, SuiteShare

NAME = "halfopen"
#: Seconds between polls for a result.
_STEP = 0.1
#: File with the id of the process that runs the scenarios.
_PID = "pid"


class ScenarioFailure(Exception):  # noqa: N818 (a scenario failed, nothing of ours)
    """A scenario did not pass."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.why)
        self.result = result


class Suite(pytest.Collector):
    """The scenarios that ``--halfopen-suite`` names."""

    call: RunRequest

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """Return an item for each scenario; raises UsageError for an unknown name."""
        try:
            asked = request.asked(self.call)
            if any(hindrance is None for _, hindrance in asked):
                request.jobs(self.call)  # refuses what cannot be run, before anything is
        except InputError as error:
            raise pytest.UsageError(f"--halfopen-suite: {error}") from None
        return [self._item(scenario, hindrance) for scenario, hindrance in asked]

    def _item(self, scenario: Scenario, hindrance: str | None) -> ScenarioItem:
        item: ScenarioItem = ScenarioItem.from_parent(self, name=f"{scenario.suite}/{scenario.name}")
        item.add_marker(NAME)
        if hindrance is not None:
            item.add_marker(pytest.mark.skip(reason=f"scenario {scenario.name!r} {hindrance}"))
        return item


class ScenarioItem(pytest.Item):
    """One scenario."""

    def runtest(self) -> None:
        """Wait for its result."""
        result = self.config.stash[RESULTS].wait_for(self.name)
        if result.word in {"skipped", "not_applicable"}:
            pytest.skip(result.why)
        if result.word != "passed":
            raise ScenarioFailure(result)
        self.add_report_section("call", NAME, result.why)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the story, as ``halfopen run`` prints it."""
        if isinstance(excinfo.value, ScenarioFailure):
            return "\n".join(excinfo.value.result.story)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the location for reports."""
        return self.config.rootpath, 0, f"{NAME}::{self.name}"


class Results:
    """The results of scenarios, which a process of their own runs and whose folder xdist's workers read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: Child | None = None
        """The process; None in xdist's workers, since their controller starts it."""

    def start(self, config: pytest.Config, names: list[str]) -> None:
        """Start these scenarios."""
        clock = plugin.clock()
        # If waiting is free, they take turns on their guest's one processor.
        at_once = 1 if clock == "virtual" else len(names)
        here = config.invocation_params.dir
        self._child = Child("halfopen.testing.share", str, folder=here, environment=environment(), keeps_errors=False)
        self._child.send(SuiteShare(call_of(config), str(self._folder), names, clock, at_once))
        (self._folder / _PID).write_text(str(self._child.pid))

    def wait_for(self, name: str) -> Result:
        """Return the result of a scenario."""
        file = share.result_file(self._folder, name)
        while not file.exists():
            if not self._goes_on() and not file.exists():
                why = "the process that was to run it is gone"
                return Result("error", why, [f"{name}: {why}"])
        return msgspec.json.decode(file.read_bytes(), type=Result)

    def _goes_on(self) -> bool:
        """Wait a while; False once no result can come any more."""
        if self._child is None:
            time.sleep(_STEP)
            with contextlib.suppress(OSError):
                return processes.is_alive(int((self._folder / _PID).read_text()))
            return False
        # The process sends a message for each result. On the virtual clock polls would cost more than the wait.
        try:
            self._child.receive()
        except PeerLostError:
            return False
        return True

    def close(self) -> None:
        """End what is still in progress."""
        if self._child is not None:
            self._child.send(Dismissed())
            self._child.close()


RESULTS = pytest.StashKey[Results]()


def items(session: pytest.Session) -> list[pytest.Item]:
    """Return the scenarios that the options name."""
    suite: Suite = Suite.from_parent(session, name=NAME, nodeid=NAME)
    suite.call = call_of(session.config)
    return [item for item in suite.collect() if isinstance(item, pytest.Item)]


def start(config: pytest.Config, selected: Sequence[str], folder: str) -> None:
    """Start the scenarios among the selected tests, given by node id, unless they are only to be listed."""
    prefix = f"{NAME}::"
    named = {node.removeprefix(prefix) for node in selected if node.startswith(prefix)}
    if not named or config.option.collectonly or RESULTS in config.stash:
        return
    asked = [(f"{scenario.suite}/{scenario.name}", hindrance) for scenario, hindrance in request.asked(call_of(config))]
    names = [name for name, hindrance in asked if name in named and hindrance is None]
    if names:
        attend(config, folder).start(config, names)


def attend(config: pytest.Config, folder: str) -> Results:
    """Expect the results in a folder."""
    return config.stash.setdefault(RESULTS, Results(Path(folder)))


def end(config: pytest.Config) -> None:
    """End what is still in progress."""
    if RESULTS in config.stash:
        config.stash[RESULTS].close()


def call_of(config: pytest.Config) -> RunRequest:
    """Return the call of the options and the configuration, as ``halfopen run`` would make it; raises UsageError."""
    server, file, detector = (plugin.setting(config, name) for name in ("server", "target", "detector"))
    here = config.invocation_params.dir
    try:
        target = TargetSpec() if file is None else load(here / file)
        return RunRequest(
            seed=plugin.seed(config),
            grace=_seconds(config, "grace"),
            poll=_seconds(config, "poll"),
            names=plugin.listed(config, "suite"),
            target=target if server is None else msgspec.structs.replace(target, server=server),
            detectors=[] if detector is None else [detector],
        )
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def _seconds(config: pytest.Config, name: str) -> float:
    text = plugin.setting(config, name)
    try:
        found = float(units.duration(text))
    except UnitError as error:
        raise pytest.UsageError(f"--halfopen-{name}: {error}") from None
    if not found:
        raise pytest.UsageError(f"--halfopen-{name}: must be more than nothing: got {text!r}")
    return found
