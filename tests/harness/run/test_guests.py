from __future__ import annotations

import io
from pathlib import Path

from halfopen.errors import InputError
from halfopen.netns.bug_report import ForeignError
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestLostError
from halfopen.run.guests import Guests, _Effort, _Work
from halfopen.run.progress import RunView
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job
from halfopen.scenario import suites
from halfopen.targets.pod import PodTarget
from halfopen.verdict.judge import Timing


def jobs(*holds: float) -> list[Job]:
    (scenario,) = suites.find(["paused"])
    target = PodTarget("none", 30, 2)
    return [
        Job(scenario, target, Timing(30, 2, hold), seed=1, repeat=n, ready_within=30) for n, hold in enumerate(holds)
    ]


def heard(*lines: bytes) -> tuple[_Work, RunView]:
    """Read these lines from a guest that does one run in real time. Return the work and the view."""
    todo = jobs(10)
    view = RunView("paused")
    guests = Guests(GuestKernel(Path("linux"), "6.12.1", "a tarball"), virtual=False, count=1, at_once=1)
    effort = _Effort(RunRequest(seed=1, grace=30, poll=2), todo, [view], guests, lambda _: None, lambda _: None)
    work = _Work([0], Path("/nowhere"))
    effort._listen(io.BytesIO(b"".join(lines)), work)
    return work, view


def test_what_a_guest_says_is_shown() -> None:
    work, view = heard(
        b'{"type":"begun","number":0}\n', b'{"type":"seen","number":0,"phase":"freeze","queued":7,"left":3}\n'
    )
    assert work.began.keys() == {0}
    assert (view.phase, view.queued) == ("freeze", 7)
    assert view.seconds_left is not None
    assert 0 < view.seconds_left <= 3


def test_a_guest_may_be_cut_off_in_the_middle_of_a_word() -> None:
    work, _ = heard(b'{"type":"refused","why":"no such program"}\n', b'{"type":"seen","number":0,"pha')
    assert isinstance(work.failure, InputError)
    assert str(work.failure) == "no such program"


def test_an_error_of_ours_in_a_guest_comes_with_its_traceback() -> None:
    work, _ = heard(b'{"type":"broken","summary":"KeyError: 1","trace":"Traceback ..."}\n')
    assert isinstance(work.failure, ForeignError)
    assert (str(work.failure), work.failure.trace) == ("KeyError: 1", "Traceback ...")


def test_processes_that_do_not_end_lose_the_guest() -> None:
    work, _ = heard(b'{"type":"stuck","why":"host \'server\': process 7 (sleep 9) did not end"}\n')
    assert isinstance(work.failure, GuestLostError)


def test_what_goes_wrong_while_listening_is_kept_and_the_rest_is_still_listened_to() -> None:
    # Its timeline was never written.
    work, _ = heard(b'{"type":"begun","number":0}\n', b'{"type":"ended","number":0}\n', b"nonsense\n")
    assert isinstance(work.failure, FileNotFoundError)
