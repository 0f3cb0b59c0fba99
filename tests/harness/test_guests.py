from __future__ import annotations

from harness import suites
from harness.guests import spread
from harness.judge import Terms
from harness.runner import Job
from harness.targets.pod import PodTarget


def jobs(*holds: float) -> list[Job]:
    (scenario,) = suites.find(["paused"])
    target = PodTarget("none", 30, 2)
    return [
        Job(scenario, target, Terms(30, 2, hold), seed=1, repeat=n, ready_within=30) for n, hold in enumerate(holds)
    ]


def test_every_run_is_in_one_guest_and_the_longest_are_apart() -> None:
    assert spread(jobs(1, 100, 100, 1), 2) == [[0, 1], [2, 3]]
    assert spread(jobs(100, 50, 50, 1), 2) == [[0, 3], [1, 2]]


def test_there_are_no_more_guests_than_runs() -> None:
    assert spread(jobs(1, 1), 8) == [[0], [1]]
    assert spread(jobs(1, 2, 3), 1) == [[0, 1, 2]]
