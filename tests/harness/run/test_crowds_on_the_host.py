"""A storm on this machine's own kernel and clock: everybody is reaped and comes back, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.cli.tool import halfopen, results
from tests.machine import needs_labs

pytestmark = needs_labs

GRACE, POLL = 2, 0.5
#: Longer than the grace, even with the first retransmissions.
OUTAGE = 3 * GRACE
SCENARIO = """
title = "Storm"
story = "A path is out beyond the grace."
truth = "alive"
client = "acking"
[crowd]
count = {count}
patience = "{patience}s"
reconnect = {{ base = "1s", most = "4s", jitter = "100%" }}
[crowd.expect]
all_served_within = "{within}s"
files_left = 0
threads_left = 0
[pod]
slice_size = "1KiB"
slice_interval = "500ms"
[[step]]
at = "{at}s"
fault = "cut"
on = "crowd"
for = "{outage}s"
[expect]
session = "kept"
hold = "1s"
"""


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_a_storm_leaves_nothing_behind(count: int, tmp_path: Path) -> None:
    file = tmp_path / "storm.toml"
    # On a busy machine five hundred take a while to connect, and to come back.
    slack = count // 20
    text = SCENARIO.format(count=count, patience=OUTAGE + 1, within=12 + slack, at=GRACE + slack, outage=OUTAGE)
    file.write_text(text)
    terms = ("--grace", f"{GRACE}s", "--poll", f"{POLL}s")
    ran = halfopen("run", str(file), "--clock", "real", "--kernel", "host", *terms, "--out", str(tmp_path))
    (run,) = results(tmp_path)["runs"]
    assert (ran.code, run["verdict"]) == (0, "passed"), run["why"]
    crowd = run["crowd"]
    # The path heals before the kernel tries again for some, so not everybody needs to come back.
    assert count / 2 < crowd["reaped"] <= count
    assert crowd["returned"] >= crowd["reaped"]
    assert (crowd["served"], crowd["unserved"], crowd["sockets_left"]) == (count, 0, 0)
    assert crowd["threads_most"] > count
    assert (crowd["files_after"], crowd["threads_after"]) == (crowd["files_before"], crowd["threads_before"])
