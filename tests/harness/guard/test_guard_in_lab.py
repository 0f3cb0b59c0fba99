"""Servers that hold dead clients are correct by the lab's own judgement once they are guarded."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

ROOT = Path(__file__).parents[3]
GRACE, POLL = 10.0, 2.0


def run(library: str, scenarios: tuple[str, ...], out: Path, *options: str) -> int:
    file = ROOT / "examples" / library / "server.py"
    command = shlex.join([sys.executable, str(file), "--host", "{host}", "--port", "{port}"])
    always = ("--clock", "virtual", "--grace", "10s", "--server", command, "--out", str(out))
    return halfopen("run", *scenarios, *always, *options).code


@pytest.mark.parametrize("library", ["websockets_asyncio", "websockets_sync"])
def test_an_unmodified_server_is_correct_with_a_guard_and_not_without(library: str, tmp_path: Path) -> None:
    assert run(library, ("frozen",), tmp_path / "bare") == 1
    assert by_scenario(tmp_path / "bare")["frozen"]["class"] == "missed"
    scenarios = ("frozen", "half_closed", "active", "trickle_silent")
    assert run(library, scenarios, tmp_path / "guarded", "--guard") == 0
    runs = by_scenario(tmp_path / "guarded")
    assert GRACE <= runs["frozen"]["detection_s"] <= GRACE + POLL + 1
    assert [runs[name]["outcome"] for name in ("active", "trickle_silent")] == ["kept"] * 2
