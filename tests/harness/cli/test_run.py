"""``halfopen run`` before and during its runs: the expected time, and each sentence once it is certain."""

from __future__ import annotations

import pytest

from halfopen.cli import screen
from halfopen.cli.run import patience
from halfopen.results.baseline import Baseline, Known
from halfopen.run import request
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job
from halfopen.scenario.target_spec import TargetSpec
from tests import screens
from tests.harness.done import done


def asked(*names: str, profile_for: float | None = None) -> list[Job]:
    target = TargetSpec(server="python server.py {host} {port}")
    return request.jobs(RunRequest(seed=1, grace=10, poll=2, names=list(names), target=target, profile_for=profile_for))


def test_on_a_real_clock_it_says_how_long_it_takes() -> None:
    # frozen: 5 s, and a hold of 2.6 graces. active has no fault before its hold of as much.
    text = "on the real clock this takes {}"
    assert patience(asked("frozen", "active"), "real", None, has_guest=True) == [text.format("31s")]
    assert patience(asked("frozen", "active", profile_for=120), "real", None, has_guest=True) == [text.format("31s")]
    assert patience(asked("frozen", "active"), "real", 1, has_guest=True) == [text.format("57s")]


def test_on_a_machine_without_a_guest_kernel_it_names_the_way_to_one() -> None:
    (_, remedy) = patience(asked("frozen"), "real", None, has_guest=False)
    assert "halfopen kernel build" in remedy


def test_on_the_virtual_clock_there_is_nothing_to_wait_for() -> None:
    assert patience(asked("frozen"), "virtual", None, has_guest=True) == []


@pytest.mark.parametrize(
    ("word", "known", "printed"),
    [("failed", False, True), ("inconclusive", False, True), ("passed", False, False), ("failed", True, False)],
)
def test_on_a_terminal_a_red_sentence_is_printed_while_others_run(word: str, known: bool, printed: bool) -> None:
    console, written = screens.console(100, colour=False)
    console._force_terminal = True
    run = done(word, "dead/frozen", why="held for 78s")  # type: ignore[arg-type]
    baseline = Baseline({"dead/frozen": Known("failed", "missed")}, file="expected.toml") if known else None
    with screen.progress(console, [RunView("frozen"), RunView("active")], baseline) as on_done:
        on_done(run)
        shown = written.getvalue()
    assert ("held for 78s" in shown) is printed
