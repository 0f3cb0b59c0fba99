"""The examples of docs/grace-mix.md, run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from halfopen.grace import mix
from halfopen.model import link_trace

Shown = Callable[[str], str]


@pytest.fixture
def shown(repository: Path) -> Shown:
    """Return the only block in a language: a second would go untested."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", (repository / "docs" / "grace-mix.md").read_text(), re.DOTALL)

    def of(language: str) -> str:
        (block,) = (text for its, text in blocks if its == language)
        return str(block)

    return of


def test_the_mix_shown_is_one(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "mix.toml").write_text(shown("toml"))
    found = mix.read(tmp_path / "mix.toml")
    assert [condition.name for condition in (*found.alive, *found.dead)] == ["outage", "frozen"]


def test_the_recording_shown_is_one(shown: Shown) -> None:
    trace = link_trace.parse(shown(""), "shown")
    assert (len(trace.moments), trace.length, trace.longest_dark) == (4, 50.0, 7.5)


def test_a_recording_of_mahimahis_becomes_one_by_what_is_shown(shown: Shown) -> None:
    # 12 Mbit/s for a second (mm-link(1)), nothing for one, a packet in the third.
    lines = [*range(1000), 2500]
    ran = subprocess.run(
        [sys.executable, "-c", shown("python")],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    trace = link_trace.parse(ran.stdout, "converted")
    assert [moment.link.to_client.rate for moment in trace.moments] == [12e6, 0.0, 12e3]
    assert [moment.is_dark for moment in trace.moments] == [False, True, False]
    assert trace.length == 3.0
