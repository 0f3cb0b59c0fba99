"""A recorded link in a lab, as the timeline shows it. Runs in a guest, since it takes netem."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from halfopen.cli import app
from halfopen.faults import noop, replay
from halfopen.model import timeline
from halfopen.model.evidence import established
from halfopen.model.timeline import Timeline
from tests.harness.cli.tool import by_scenario
from tests.in_guest import in_guest
from tests.machine import needs_guest

pytestmark = needs_guest

TRAIN = """
title = "A train"
story = "A healthy user on a train, whose link was once recorded."
truth = "alive"
[client]
behaviour = "acking"
receive_buffer = "128KiB"
[[step]]
at = "3s"
fault = "replay"
for = "6s"
trace = \"\"\"
time, rate, delay, loss
0, 4Mbit, 20ms, 0%
2, 0bit
4, 1Mbit, 50ms, 1%
6
\"\"\"
[expect]
session = "kept"
hold = "12s"
"""


class Told(NamedTuple):
    code: int
    run: dict[str, Any]
    seen: Timeline


@in_guest
def on_a_train(*, meant: bool) -> Told:
    if not meant:
        replay.fault = noop.fault  # type: ignore[assignment]
    folder = Path("/tmp/train")
    folder.mkdir()
    file = folder / "train.toml"
    file.write_text(TRAIN)
    # The guest is the host here, and its virtual clock the real one.
    surroundings = ("--kernel", "host", "--clock", "real")
    code = app.call(["run", str(file), *surroundings, "--grace", "8s", "--seed", "7", "--out", str(folder)])
    return Told(code, by_scenario(folder)["train"], timeline.read(folder / "timelines" / "train.jsonl"))


@pytest.fixture(scope="module")
def told() -> Told:
    return on_a_train(meant=True)


def test_the_scenario_passes_and_says_that_the_link_was_replayed(told: Told) -> None:
    assert (told.code, told.run["verdict"]) == (0, "passed"), told.run["why"]
    assert "recorded link replayed, 3 changes" in told.run["why"]


def test_the_kernel_says_what_the_link_does_when_the_trace_says_so(told: Told) -> None:
    begun = told.seen.first("fault", "begun")
    assert begun is not None
    changes = list(told.seen.of("fault", "replayed"))
    assert [round(change.t - begun.t, 1) for change in changes] == [0.0, 2.0, 4.0]
    does = ["20ms, 4Mbit", "loss 100%", "50ms, loss 1%, 1Mbit"]
    for change, expected in zip(changes, does, strict=True):
        for way in ("to_client", "to_server"):
            # A rate has a queue of 50 ms unless another is asked for.
            assert change.data[way].removesuffix(" with a queue of 50ms") == expected


def test_nothing_gets_through_while_the_trace_is_dark_and_all_goes_on_after_it(told: Told) -> None:
    begun, undone = told.seen.first("fault", "begun"), told.seen.first("fault", "undone")
    assert begun is not None
    assert undone is not None
    samples = established(told.seen)
    # Packets in flight pass before the last acknowledgement arrives.
    dark = {s.bytes_acked for s in samples if begun.t + 2.3 <= s.t <= begun.t + 4}
    assert len(dark) == 1
    after = [s for s in samples if s.t > undone.t]
    assert after[-1].bytes_acked != after[0].bytes_acked
    link = told.seen.last("lab", "link_did")
    assert link is not None
    assert link.data["does"] == "unimpaired"


def test_an_unmeant_replay_is_inconclusive_and_never_passes() -> None:
    told = on_a_train(meant=False)
    assert (told.code, told.run["verdict"]) == (3, "inconclusive")
    assert "a recorded link was to be replayed, but the kernel never said so" in told.run["why"]
