"""The README's heartbeat for Node.js's ws reaps a frozen client, and the reported time is the server's own."""

from __future__ import annotations

from pathlib import Path

from halfopen.model import timeline
from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest, needs_servers
from tests.servers import EXAMPLES, environment

pytestmark = [needs_guest, needs_servers]

TELLS = Path(__file__).parents[1] / "planted" / "tells_terminate.js"
TERMS = ("--clock", "virtual", "--seed", "7")


def test_the_time_of_a_reap_is_that_at_which_the_server_ended_the_connection(tmp_path: Path) -> None:
    target = tmp_path / "ws.toml"
    target.write_text(
        "[target]\n"
        f'server = "node {EXAMPLES}/ws/server.js {{host}} {{port}} 30"\n'
        f'environment = {{ NODE_OPTIONS = "--require={TELLS}" }}\n'
    )
    out = tmp_path / "out"
    ran = halfopen("run", "dead/frozen", "--target", str(target), *TERMS, "--out", str(out), env=environment())
    (run,) = by_scenario(out).values()
    assert run["outcome"] == "reaped", ran
    said = {}
    for event in timeline.read(out / "timelines" / "frozen.jsonl").of("target", "output"):
        what, _, nanoseconds = event.data["text"].partition(" at ")
        said[what] = (event.t, int(nanoseconds) / 1e9)
    read_at, opened_at = said["opened"]
    terminated = said["terminated"][1] - opened_at + read_at  # on the timeline's clock
    # Two rounds of the heartbeat, not rounded further: the reported time is the server's own.
    assert 30.0 < terminated <= 65.0
    assert abs(run["reaped_at_s"] - terminated) <= 0.010
