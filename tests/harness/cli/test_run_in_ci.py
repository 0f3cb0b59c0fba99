"""``halfopen run`` as CI calls it: in shards, and compared with known failures."""

from __future__ import annotations

from pathlib import Path

from tests.harness.cli.tool import Ran, halfopen, results
from tests.machine import needs_guest

pytestmark = needs_guest

#: No detector: the frozen client is missed.
WEDGED = ("run", "--detector", "none", "--clock", "virtual", "--seed", "7")


def ran(out: Path, *options: str) -> Ran:
    return halfopen(*WEDGED, *options, "--out", str(out))


def test_the_shards_of_a_call_are_the_call(tmp_path: Path) -> None:
    parts = [tmp_path / "1", tmp_path / "2"]
    done = [ran(out, "--shard", f"{out.name}/2") for out in parts]
    assert sorted(one.code for one in done) == [0, 1]
    assert ", shard 1/2; virtual clock" in done[0].out
    assert [results(out)["shard"] for out in parts] == ["1/2", "2/2"]
    names = [run["scenario"] for out in parts for run in results(out)["runs"]]
    assert sorted(names) == ["active", "backpressured", "clean_close", "frozen", "paused"]


def test_a_failure_once_written_down_is_known_from_then_on(tmp_path: Path) -> None:
    known = tmp_path / "expected.toml"
    first = ran(tmp_path, "frozen", "active", "--write-baseline", str(known))
    assert first.code == 1
    assert f"baseline: 1 scenario is known in {known}" in first.out
    second = ran(tmp_path, "frozen", "active", "--baseline", str(known))
    assert second.code == 0, second
    assert "1 passed, 1 known failure in " in second.out
    assert "again: " not in second.out
    assert {run["scenario"]: run["known"] for run in results(tmp_path)["runs"]} == {"frozen": True, "active": False}


def test_what_was_known_and_is_fixed_is_pointed_out(tmp_path: Path) -> None:
    known = tmp_path / "expected.toml"
    known.write_text('[known]\n"pod_5090/active" = { verdict = "failed", class = "false_reap", why = "#12" }')
    done = ran(tmp_path, "active", "--baseline", str(known))
    assert done.code == 0
    assert "fixed:   pod_5090/active (false_reap, #12) passed" in done.out
    known.write_text("strict = true\n" + known.read_text())
    assert ran(tmp_path, "active", "--baseline", str(known)).code == 1
