"""Scenarios as items of a pytest run. All run side by side while pytest waits for one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.netns import units
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
        result = self.config.stash[SHARES].wait_for(self.name)
        if result.word == "skipped":
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


class Shares:
    """The scenarios of this process and of xdist's other workers: a process each, results in one folder."""

    def __init__(self, config: pytest.Config, call: RunRequest, folder: Path | None) -> None:
        """Without a folder, this is the only process, and makes its own."""
        workerinput: dict[str, Any] = getattr(config, "workerinput", {})
        self._call = call
        self._folder = folder or Path(tempfile.mkdtemp(prefix="halfopen-"))
        self._is_ours = folder is None
        self._config = config
        self._number = int(workerinput.get("workerid", "gw0").removeprefix("gw"))
        self._count = int(workerinput.get("workercount", 1))
        self._parent = os.getppid()
        self._names: list[str] = []
        self._child: Child | None = None

    def start(self, names: Sequence[str]) -> None:
        """Start our share of the selected scenarios, which are the same in every worker."""
        self._names = list(names)
        self._tell("worker", os.getpid())
        mine = [name for n, name in enumerate(names) if n % self._count == self._number]
        if not mine:
            return
        clock = plugin.clock()
        # If waiting is free, they take turns on their guest's one processor.
        at_once = 1 if clock == "virtual" else len(mine)
        self._child = Child(
            "halfopen.testing.share",
            str,
            folder=self._config.invocation_params.dir,
            environment=environment(),
            keeps_errors=False,
        )
        self._child.send(SuiteShare(self._call, str(self._folder), mine, clock, at_once))
        self._tell("share", self._child.pid)

    def _tell(self, what: str, pid: int) -> None:
        """Announce a process of ours to xdist's other workers."""
        (self._folder / f"{what}-{self._number}").write_text(str(pid))

    def wait_for(self, name: str) -> Result:
        """Return the result of a scenario, whichever worker runs it."""
        owner = self._names.index(name) % self._count
        file = share.result_file(self._folder, name)
        while not file.exists():
            if not self._goes_on(owner) and not file.exists():
                why = "the process that was to run it is gone"
                return Result("error", why, [f"{name}: {why}"])
        return msgspec.json.decode(file.read_bytes(), type=Result)

    def _goes_on(self, owner: int) -> bool:
        """Wait a while; False once no result can come any more."""
        if self._is_ours:
            # The process sends a message for each result. On the virtual clock polls would cost more than the wait.
            assert self._child is not None
            try:
                self._child.receive()
            except PeerLostError:
                return False
            return True
        time.sleep(_STEP)
        return not self._is_over() and self._is_alive(owner)

    def _is_over(self) -> bool:
        """True if xdist's controller wants no more results, or is gone."""
        return over(self._folder).exists() or os.getppid() != self._parent

    def _is_alive(self, owner: int) -> bool:
        if owner == self._number:
            return self._child is not None and self._child.is_alive
        return _runs(self._folder / f"share-{owner}")

    def close(self) -> None:
        """End what is still in progress, once none of xdist's other workers can wait for it."""
        (self._folder / f"worker-{self._number}").unlink(missing_ok=True)
        if self._child is not None:
            if not self._is_ours:
                self._until_nobody_waits(self._child)
            self._child.send(Dismissed())
            self._child.close()
        if self._is_ours:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _until_nobody_waits(self, child: Child) -> None:
        others = [self._folder / f"worker-{n}" for n in range(self._count) if n != self._number]
        while child.is_alive and not self._is_over() and any(_runs(other) for other in others):
            time.sleep(_STEP)


def _runs(file: Path) -> bool:
    """True if the process whose id is in a file exists."""
    try:
        os.kill(int(file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def over(folder: Path) -> Path:
    """Return the path that exists once xdist's controller wants no more results."""
    return folder / "over"


SHARES = pytest.StashKey[Shares]()


def items(session: pytest.Session) -> list[pytest.Item]:
    """Return the scenarios that the options name."""
    suite: Suite = Suite.from_parent(session, name=NAME, nodeid=NAME)
    suite.call = call_of(session.config)
    return [item for item in suite.collect() if isinstance(item, pytest.Item)]


def start(session: pytest.Session) -> None:
    """Start the selected scenarios, unless they are only to be listed."""
    config = session.config
    names = [item.name for item in session.items if isinstance(item, ScenarioItem) and not _is_skipped(item)]
    if not names or config.option.collectonly:
        return
    folder = getattr(config, "workerinput", {}).get("halfopen_folder")
    config.stash[SHARES] = Shares(config, call_of(config), folder and Path(folder))
    config.stash[SHARES].start(names)


def _is_skipped(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is not None


def end(config: pytest.Config, folder: str | None) -> None:
    """End what is still in progress.

    ``folder`` is that of xdist's controller, whose workers do the same.
    """
    if folder is not None:
        over(Path(folder)).touch()
    if SHARES in config.stash:
        config.stash[SHARES].close()


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
