"""Rules for every test: it leaves nothing behind, and in CI it is not skipped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from halfopen.netns import capabilities
from halfopen.netns.forking import AWAITED
from tests import leftovers
from tests.machine import LACKING

pytest_plugins = ["pytester"]

# A busy machine takes its time; tests measure none.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Started in the background of a script, or by nohup(1), pytest ignores these signals. So would everything that tests
# start and interrupt.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


# `make test` starts pytest with some signals blocked. In pytest-xdist's processes they must stay blocked in the thread
# by which pytest speaks to them. Otherwise it could take a signal that the main thread waits for
# (halfopen.netns.forking).


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready() -> None:
    """Unblock signals in pytest-xdist's own process once its workers are started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)


def pytest_report_header() -> list[str]:
    lines = [f"kernel: {capabilities.kernel_release()}, user {os.geteuid()}"]
    lines += [f"lacking: {what}" for what in LACKING] or ["lacking: nothing"]
    return lines


def pytest_itemcollected(item: pytest.Item) -> None:
    """Skip a test of a lab if this machine lacks something for it (tests/machine.py)."""
    for why in [mark.args[0] for mark in item.iter_markers("lab")]:
        if why is not None:
            item.add_marker(pytest.mark.skipif(True, reason=why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in CI that was skipped because the machine lacks something, since it proves nothing."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which in CI is a failure: {report.longrepr}"
    return report


#: Set in a process that runs a single test.
_APART = "HALFOPEN_TEST_APART"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test marked ``apart`` in its own process.

    Libraries leave threads behind. A signal that the other threads block is delivered to those, so code that forks and
    forwards signals (halfopen.netns.isolation) is interrupted itself.
    """
    if pyfuncitem.get_closest_marker("apart") is None or os.environ.get(_APART):
        return None
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rN", "--no-header", "-q", pyfuncitem.nodeid],
        env=os.environ | {_APART: "1"},
        cwd=pyfuncitem.config.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        pytest.fail(f"{ran.stdout}{ran.stderr}", pytrace=False)
    return True


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail any test that leaves a process, a namespace or an interface behind."""
    before = leftovers.take_stock()
    yield
    left = leftovers.since(before)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session", autouse=True)
def real_clock() -> Iterator[None]:
    """Make the real clock the default for tests, whatever kernel is in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALFOPEN_CLOCK", "real")
        yield


@pytest.fixture(scope="session", autouse=True)
def not_on_github() -> Iterator[None]:
    """Hide GitHub's environment, since tests compare the tool's whole output."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_size_of_a_terminal() -> None:
    """Remove the terminal size that readline, imported by pytest, puts into the environment of our processes.

    It bypasses Python's os.environ. In pytest-xdist's processes os.environ has it, by inheritance.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
        os.unsetenv(name)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parent.parent
