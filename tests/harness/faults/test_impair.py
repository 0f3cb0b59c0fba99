"""A link that changes during a scenario shows in the timeline, and the proof does not rest on the fault's name.

Runs in a guest, since it takes netem.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from halfopen.cli import app
from halfopen.faults import impair, noop
from halfopen.model import timeline
from halfopen.model.evidence import established
from halfopen.model.timeline import Timeline
from tests.harness.cli.tool import by_scenario
from tests.in_guest import in_guest
from tests.machine import needs_guest

pytestmark = needs_guest

TUNNEL = """
title = "A tunnel"
story = "A healthy user on a train, whose phone loses the network for a while."
truth = "alive"
[client]
behaviour = "acking"
receive_buffer = "128KiB"
[link]
delay = "20ms"
to_client = { loss = "0.1%" }
[[step]]
at = "3s"
fault = "impair"
for = "3s"
delay = "50ms"
to_client = { loss = "100%" }
[expect]
session = "kept"
hold = "10s"
"""


class Told(NamedTuple):
    code: int
    run: dict[str, Any]
    seen: Timeline


@in_guest
def through_a_tunnel(*, meant: bool) -> Told:
    if not meant:
        impair.fault = noop.fault  # type: ignore[assignment]
    folder = Path("/tmp/tunnel")
    folder.mkdir()
    file = folder / "tunnel.toml"
    file.write_text(TUNNEL)
    # The guest is the host here, and its virtual clock the real one.
    surroundings = ("--kernel", "host", "--clock", "real")
    code = app.call(["run", str(file), *surroundings, "--grace", "6s", "--seed", "7", "--out", str(folder)])
    return Told(code, by_scenario(folder)["tunnel"], timeline.read(folder / "timelines" / "tunnel.jsonl"))


@pytest.fixture(scope="module")
def told() -> Told:
    return through_a_tunnel(meant=True)


def test_the_scenario_passes_and_says_what_the_link_did(told: Told) -> None:
    assert (told.code, told.run["verdict"]) == (0, "passed"), told.run["why"]
    assert "link changed to 50ms, loss 100% to the client, 50ms to the server" in told.run["why"]


def test_nothing_gets_through_until_it_is_undone_and_then_all_goes_on(told: Told) -> None:
    begun, undone = told.seen.first("fault", "begun"), told.seen.first("fault", "undone")
    assert begun is not None
    assert undone is not None
    samples = established(told.seen)
    # The last acknowledgement takes the fault's own round trip to arrive.
    dark = {s.bytes_acked for s in samples if begun.t + 0.2 <= s.t <= undone.t}
    assert len(dark) == 1
    before = {s.bytes_acked for s in samples if s.t < begun.t}
    after = {s.bytes_acked for s in samples if s.t > undone.t}
    assert len(before) > 10
    assert len(after) > 10


def test_a_seed_of_the_runs_is_given_or_said_to_be_ignored(told: Told) -> None:
    """Kernels before 6.6 take none."""
    impaired = told.seen.first("fault", "impaired")
    assert impaired is not None
    to_client = impaired.data["to_client"]
    note = told.seen.first("lab", "not_as_asked")
    if to_client["seed"] is None:
        assert re.fullmatch(r"seed: asked \d+, in force none", *to_client["differences"])
        assert note is not None
        assert note.data["toward"] == "client"
    else:
        assert to_client["differences"] == []
        assert note is None


def test_an_unmeant_change_is_inconclusive_and_never_passes() -> None:
    told = through_a_tunnel(meant=False)
    assert (told.code, told.run["verdict"]) == (3, "inconclusive")
    assert "the link was to change, but the kernel never said so" in told.run["why"]
