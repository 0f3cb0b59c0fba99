"""The examples of CONTRIBUTING.md: each, put into one new file, works in a scenario and does what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.harness.cli.tool import by_scenario, halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

SCENARIO = """
title = "By the guide"
story = "What the guide shows, put together."
truth = "{truth}"

[client]
behaviour = "guide.client"
receive_buffer = "64KiB"

[[step]]
at = "5s"
fault = "guide.fault"
for = "{lasting}"

[expect]
session = "{session}"
hold = "2 * grace"
"""


@pytest.fixture
def guide(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the guide's fault, client and detector as modules of a package."""
    blocks = re.findall(r"```python\n(.*?)```", (repository / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    (tmp_path / "guide").mkdir()
    for name, text in zip(("fault", "client", "detector"), blocks, strict=True):
        (tmp_path / "guide" / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(repository / "src")]))
    return tmp_path


def ran(guide: Path, *, truth: str, session: str, lasting: str) -> dict[str, object]:
    file = guide / "by_the_guide.toml"
    file.write_text(SCENARIO.format(truth=truth, session=session, lasting=lasting))
    options = ("--detector", "guide.detector", "--grace", "20s", "--clock", "virtual", "--out", str(guide / "out"))
    done = halfopen("run", str(file), *options, cwd=guide)
    assert done.code in (0, 1, 3), done
    return by_scenario(guide / "out")["by_the_guide"]


def test_the_guides_detector_reaps_the_guides_client_after_a_quarter_of_the_grace(guide: Path) -> None:
    run = ran(guide, truth="dead", session="reaped", lasting="grace")
    assert (run["verdict"], run["class"], run["reason"]) == ("passed", "true_reap", "send_stall"), run
    assert isinstance(run["detection_s"], float)
    assert 5 <= run["detection_s"] <= 5 + 2 + 1


def test_the_guides_fault_is_undone_and_the_client_goes_on(guide: Path) -> None:
    run = ran(guide, truth="alive", session="kept", lasting="grace / 8")
    assert (run["verdict"], run["class"]) == ("passed", "true_keep"), run
    assert "client stopped" in str(run["why"])
