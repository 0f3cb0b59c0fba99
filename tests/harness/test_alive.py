"""Clients that only look dead, on the virtual clock, judged by the incident's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.model import timeline
from halfopen.model.evidence import established
from halfopen.model.timeline import Timeline
from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

GRACE, POLL = 30.0, 2.0

#: Live clients below that the merged rule takes for dead. The kernel's own attempts come too late for it, or the window
#: stays closed for longer than the grace, or data acknowledged out of order does not count.
WRONGLY_REAPED = {
    "outage_20s_rtt300",
    "outage_27s_rtt300",
    "outage_40s_rtt20",
    "outage_40s_rtt300",
    "slowest_link",
    "trickle_autotuned",
}
SPARED = {
    "outage_10s_rtt20",
    "outage_10s_rtt300",
    "outage_20s_rtt20",
    "outage_27s_rtt20",
    "outage_longest",
    "plateau",
    "trickle_4k",
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alive")
    names = [f"alive/{name}" for name in sorted(WRONGLY_REAPED | SPARED)]
    terms = ("--grace", f"{GRACE}s", "--poll", f"{POLL}s")
    ran = halfopen("run", *names, "--clock", "virtual", "--seed", "7", *terms, "--out", str(folder))
    assert ran.code == 1, ran
    return folder


def test_the_merged_rule_errs_where_the_kernel_is_silent_for_longer_than_the_grace_and_nowhere_else(out: Path) -> None:
    runs = by_scenario(out)
    assert {name for name, run in runs.items() if run["class"] == "false_reap"} == WRONGLY_REAPED
    assert {name for name, run in runs.items() if run["verdict"] == "passed"} == SPARED


def first_rule(seen: Timeline, phase: float) -> float:
    """Return the longest time for which the incident's first rule, at each poll, sees a queue that does not shrink."""
    since, queued, longest, look_at = phase, 0, 0.0, phase
    for sample in established(seen):
        if sample.t < look_at:
            continue
        look_at += POLL
        if not sample.outq or sample.outq < queued:
            since = sample.t
        queued, longest = sample.outq, max(longest, sample.t - since)
    return longest


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.2])
def test_the_plateau_fools_the_first_rule_which_looks_every_poll_from_the_start_on(out: Path, phase: float) -> None:
    assert first_rule(timeline.read(out / "timelines" / "plateau.jsonl"), phase) >= GRACE


def test_a_reader_whose_queue_moves_does_not(out: Path) -> None:
    assert first_rule(timeline.read(out / "timelines" / "trickle_4k.jsonl"), 0.0) < GRACE
