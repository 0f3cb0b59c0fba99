"""``halfopen probe`` and the profile in results.json."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from halfopen.cli import probe
from halfopen.model.profile import Profile
from halfopen.scenario import suites
from halfopen.verdict.findings import Span
from halfopen.verdict.judge import Timing, deadline
from tests.harness.cli.tool import halfopen, results
from tests.harness.done import done
from tests.machine import needs_guest

SERVER = """
import asyncio, sys
from websockets.asyncio.server import serve

async def session(connection):
    await connection.send("hello")
    async for _ in connection:
        pass

async def main():
    host, port, ping = sys.argv[1:]
    async with serve(session, host, int(port), ping_interval=float(ping) or None, ping_timeout=10) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    file = tmp_path / "quiet.py"
    file.write_text(SERVER)
    return f"{sys.executable} {file} {{host}} {{port}}"


@needs_guest
def test_a_server_that_pings_is_shown_with_the_grace_it_keeps(tmp_path: Path, command: str) -> None:
    ran = halfopen("probe", "--clock", "virtual", "--server", f"{command} 10", "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran
    pings = "pings every 10s, so --grace should be at least 20s"
    assert f"profile: sends rarely: 1 message in 120s, messages of up to 5 B; {pings}" in ran.out
    assert "  yes  answers pings" in ran.out
    assert "lets go of a frozen client after 15s" in ran.out
    assert "try --grace 20s: with it your server notices both in time" in ran.out


@needs_guest
def test_a_server_that_notices_nothing_fits_no_grace(tmp_path: Path, command: str) -> None:
    ran = halfopen("probe", "--clock", "virtual", "--server", f"{command} 0", "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran
    assert "still holds a frozen client after 10m" in ran.out or "still holds a frozen client after 600s" in ran.out
    assert "no --grace fits" in ran.out


@needs_guest
def test_a_scenario_that_needs_a_stream_does_not_apply_to_a_quiet_server(tmp_path: Path, command: str) -> None:
    out = tmp_path / "out"
    scenarios = ("dead/frozen", "alive/backpressured")
    ran = halfopen("run", *scenarios, "--clock", "virtual", "--server", f"{command} 10", "--out", str(out))
    assert ran.code == 0, ran
    table = results(out)
    assert {run["scenario"]: run["verdict"] for run in table["runs"]} == {
        "frozen": "passed",
        "backpressured": "not_applicable",
    }
    assert table["profile"]["pings_every"] == 10.0
    assert "1 passed, 1 not applicable" in ran.out


@needs_guest
def test_a_run_in_which_nothing_applies_is_not_green(tmp_path: Path, command: str) -> None:
    out = str(tmp_path / "out")
    ran = halfopen("run", "alive/backpressured", "--clock", "virtual", "--server", f"{command} 10", "--out", out)
    assert ran.code == 3, ran


def test_without_a_server_there_is_nothing_to_probe() -> None:
    ran = halfopen("probe")
    assert ran.code == 2
    assert "--server: missing; name your server" in ran.err


def test_every_deadline_lies_within_the_time_that_a_dead_client_is_observed() -> None:
    for name in probe._DEATHS:
        (scenario,) = suites.find([name], pod=False)
        for clock, hold in probe._HOLD.items():
            limit = deadline(scenario, Timing(probe._GRACE[clock], 2.0))
            assert limit is not None
            assert limit < hold, (name, clock)


@pytest.mark.parametrize(("every", "grace"), [(None, 10), (5.0, 15), (11.0, 22)])
def test_a_grace_is_no_less_than_the_profile_suggests(every: float | None, grace: int) -> None:
    profile = Profile(observed=120, messages=0, rate=0, largest=0, longest_pause=120, pings_every=every)
    passed = done("passed", "dead/frozen", "true_reap")
    found = dataclasses.replace(passed.verdict.found, outcome="reaped", spans=(Span(0, 5, 14),), ended_at=14)
    noticed = dataclasses.replace(passed, subject=dataclasses.replace(passed.subject, found=found))
    assert probe.fitting_grace([noticed], profile) == grace
