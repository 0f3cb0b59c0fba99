from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError
from halfopen.run.guest_part import Message, RunProgress, RunsStuck, RunStarted
from halfopen.run.guests import Guests, _Runs
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job
from halfopen.scenario import suites
from halfopen.spawn.peers import Refused
from halfopen.targets.pod import PodTarget
from halfopen.verdict.judge import Timing


def taken_in(*messages: Message) -> RunView:
    """Take in messages of a guest that does one run in real time. Return its view."""
    (scenario,) = suites.find(["paused"])
    job = Job(scenario, PodTarget("none", 30, 2), Timing(30, 2, 10), seed=1, repeat=0, ready_within=30)
    view = RunView("paused")
    guests = Guests(GuestKernel(Path("linux"), "6.12.1", "a tarball"), virtual=False, count=1, at_once=1)
    runs = _Runs(RunRequest(seed=1, grace=30, poll=2), [job], [view], guests, lambda _: None, lambda _: None)
    for message in messages:
        runs.take_in(message, Path("/nowhere"))
    return view


def test_what_a_guest_says_is_shown() -> None:
    view = taken_in(RunStarted(0), RunProgress(0, "freeze", 7, 3))
    assert (view.phase, view.queued) == ("freeze", 7)
    assert view.seconds_left is not None
    assert 0 < view.seconds_left <= 3


def test_a_refusal_is_an_error_in_the_guests_words() -> None:
    with pytest.raises(InputError, match="no such program"):
        taken_in(Refused("no such program"))


def test_processes_that_do_not_end_lose_the_guest() -> None:
    with pytest.raises(GuestLostError, match="process 7"):
        taken_in(RunsStuck("host 'server': process 7 (sleep 9) did not end"))
