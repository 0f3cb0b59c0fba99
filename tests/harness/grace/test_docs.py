"""What docs/grace-mix.md shows, tried."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import link_trace
from harness.grace import mix


@pytest.fixture
def blocks(repository: Path) -> dict[str, str]:
    found = re.findall(r"```(\w*)\n(.*?)```", (repository / "docs" / "grace-mix.md").read_text(), re.DOTALL)
    return dict(found)


def test_the_mix_shown_is_one(blocks: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mix.toml").write_text(blocks["toml"])
    found = mix.read(tmp_path / "mix.toml")
    assert [condition.name for condition in (*found.alive, *found.dead)] == ["outage", "frozen"]


def test_the_recording_shown_is_one(blocks: dict[str, str]) -> None:
    trace = link_trace.parse(blocks[""], "shown")
    assert (len(trace.moments), trace.length, trace.longest_dark) == (4, 50.0, 7.5)


def test_a_recording_of_mahimahis_becomes_one_by_what_is_shown(blocks: dict[str, str]) -> None:
    # 12 Mbit/s for a second (mm-link(1)), nothing for one, a packet in the third.
    lines = [*range(1000), 2500]
    ran = subprocess.run(
        [sys.executable, "-c", blocks["python"]],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    trace = link_trace.parse(ran.stdout, "converted")
    assert [moment.link.to_client.rate for moment in trace.moments] == [12e6, 0.0, 12e3]
    assert [moment.is_dark for moment in trace.moments] == [False, True, False]
    assert trace.length == 3.0
