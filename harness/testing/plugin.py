"""The pytest plugin: the fixture ``lab``, the marker ``halfopen``, and suites of scenarios as tests (docs/pytest.md).

pytest loads this module in every run, used or not. So it imports nothing but pytest. :func:`_bench` imports the
implementation (halfopen.testing) on first use.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
import tempfile
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from halfopen.testing.lab_fixture import LabFixture

#: Environment variable that gives a run in a guest the seed of the run that started it.
INSIDE = "HALFOPEN_PYTEST_SEED"

_SEED = pytest.StashKey[int]()
_FOLDER = pytest.StashKey[str]()
_LAB = pytest.StashKey["LabFixture"]()

#: Options that pytest's configuration may also set, with their metavar and help.
_SETTINGS = {
    "grace": ("DURATION", "What expectations are written in (default: 30s)."),
    "poll": ("DURATION", "The detector's poll (default: 2s)."),
    "seed": ("N", "Repeat a run (default: random, in the report's header)."),
    "clock": (
        "CLOCK",
        "real (default), virtual: the whole run in a guest kernel where waiting takes no time, or auto.",
    ),
    "server": ("CMD", "The server under test, with {host} and {port} in it, for lab.serve() and suites."),
    "target": ("FILE", "A TOML file that describes the server under test, in its place."),
    "detector": ("NAME", "The pod's detector, where a suite has no other server."),
}
_LISTS = {
    "suite": ("NAME", "Run these scenarios as tests: a scenario, a suite, a .toml file or a folder. More than once."),
    "writable": ("DIR", "A folder that tests in a guest may write to, beside pytest's own. More than once."),
}
_DEFAULTS = {"grace": "30s", "poll": "2s", "clock": "real"}


def _bench(module: str) -> Any:
    """Import a module of the implementation. This is the only place that does, and only on first use."""
    return importlib.import_module(f"halfopen.testing.{module}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, most of which pytest's configuration may set as well."""
    group = parser.getgroup("halfopen", "liveness of WebSocket servers")
    for name, (metavar, words) in _SETTINGS.items():
        group.addoption(f"--halfopen-{name}", metavar=metavar, help=words)
        parser.addini(f"halfopen_{name}", words)
    for name, (metavar, words) in _LISTS.items():
        group.addoption(f"--halfopen-{name}", metavar=metavar, action="append", default=[], help=words)
        parser.addini(f"halfopen_{name}", words, type="linelist")
    group.addoption("--halfopen-wall-limit", metavar="DURATION", default="1h", help="Give a guest up after so long.")


def setting(config: pytest.Config, name: str) -> str | None:
    """Return a setting from the command line, else the configuration, else the default."""
    given: str | None = config.getoption(f"halfopen_{name}")
    written: str = config.getini(f"halfopen_{name}")
    return given or written or _DEFAULTS.get(name)


def listed(config: pytest.Config, name: str) -> list[str]:
    """Return a list setting from the command line and the configuration together."""
    found: list[str] = [*config.getoption(f"halfopen_{name}"), *config.getini(f"halfopen_{name}")]
    return found


def clock() -> str:
    """Return the clock of this process."""
    return "virtual" if INSIDE in os.environ else "real"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and choose the seed."""
    config.addinivalue_line(
        "markers",
        "halfopen(grace, poll, server, link, seed): what the fixture lab of this test is told, in place of "
        "what the command line and the configuration say.",
    )
    seed(config)


def seed(config: pytest.Config) -> int:
    """Return the seed of this run's random numbers; raises UsageError if it is invalid."""
    if _SEED not in config.stash:
        config.stash[_SEED] = _seed(config)
    return config.stash[_SEED]


def _seed(config: pytest.Config) -> int:
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None and "halfopen_seed" in workerinput:
        return int(workerinput["halfopen_seed"])
    asked = os.environ.get(INSIDE) or setting(config, "seed")
    if asked is None:
        return random.SystemRandom().randrange(2**31)
    if not asked.isascii() or not asked.isdigit() or int(asked) >= 2**64:
        raise pytest.UsageError(f"--halfopen-seed takes a whole number from 0 to 2^64 - 1, got {asked!r}")
    return int(asked)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """If another clock is asked for, carry the run out in a guest, once, and return its exit code."""
    if INSIDE in os.environ or hasattr(config, "workerinput") or setting(config, "clock") == "real":
        return None
    guest = _bench("guest")
    if guest.kernel(setting(config, "clock")) is None:
        return None
    code: int = guest.run(config, seed(config))
    return code


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each of xdist's workers our seed, and the folder for the results of scenarios."""
    node.workerinput["halfopen_seed"] = seed(node.config)
    if listed(node.config, "suite"):
        node.workerinput["halfopen_folder"] = _folder(node.config)


def _folder(config: pytest.Config) -> str:
    if _FOLDER not in config.stash:
        config.stash[_FOLDER] = tempfile.mkdtemp(prefix="halfopen-")
    return config.stash[_FOLDER]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Start all selected scenarios, once for all of xdist's workers."""
    if listed(node.config, "suite"):
        _bench("suite").start(node.config, ids, _folder(node.config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the requested scenarios before any test is deselected."""
    if listed(config, "suite"):
        items += _bench("suite").items(session)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Start all selected scenarios, or expect the results of those that xdist's controller starts."""
    config = session.config
    if not listed(config, "suite"):
        return
    if hasattr(config, "workerinput"):
        _bench("suite").attend(config, config.workerinput["halfopen_folder"])
    else:
        _bench("suite").start(config, [item.nodeid for item in session.items], _folder(config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the scenarios that no test waits for any more."""
    if listed(session.config, "suite"):
        _bench("suite").end(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the folder for the results of scenarios."""
    if _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> str:
    """Return the line with the settings that repeat a run."""
    return (
        f"halfopen: grace {setting(config, 'grace')}, poll {setting(config, 'poll')}, {clock()} clock, "
        f"seed {seed(config)}"
    )


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabFixture]:
    """A network for this test alone, with servers, clients, and the outcomes of their sessions (docs/pytest.md)."""
    found: LabFixture = _bench("lab_fixture").LabFixture(request, seed(request.config))
    request.node.stash[_LAB] = found
    try:
        yield found
    finally:
        del request.node.stash[_LAB]
        found.close()
    if found.ignored:
        pytest.fail(
            f"halfopen: never checked: {', '.join(found.ignored)}; write assert in front of it",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the history of the lab to the report of a failed test."""
    report = yield
    found = item.stash.get(_LAB, None)
    if found is not None and report.failed and call.when == "call":
        report.sections += _bench("lab_fixture").sections(item, found)
    return report
