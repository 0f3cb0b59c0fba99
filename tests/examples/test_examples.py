"""Every server of examples/ starts, and treats a frozen client as docs/field-report.md says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from halfopen.scenario import target_spec
from tests.harness.cli.tool import Ran, halfopen
from tests.machine import needs_guest, needs_nginx, needs_servers
from tests.servers import EXAMPLES, environment

pytestmark = [needs_guest, needs_servers, needs_nginx]

ROOT = EXAMPLES.parent
TERMS = ("--scenario", "dead/frozen", "--clock", "virtual", "--seed", "7")
#: Those that send nothing to a client that was frozen early.
QUIET = {"asgi/uvicorn_push", "websockets_events/default", "ws_chat/default"}
NAMES = [spec.name for spec in target_spec.find([EXAMPLES])]


def field(out: Path, *words: str) -> Ran:
    # The results contain file names as given, so run where the report is made.
    return halfopen("field", *words, *TERMS, "--out", str(out), cwd=ROOT, env=environment())


def table(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "field.json").read_text())
    return found


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("field")
    ran = field(out, "examples")
    assert ran.code == 0, ran
    return {run["target"]: run for run in table(out)["runs"]}


def reported(server: str) -> str:
    """Return the class in the report for the server in the column ``frozen``."""
    report = (ROOT / "docs" / "field-report.md").read_text()
    section = report[report.index("### dead") : report.index("### alive")]
    named = re.search(r"(\d+) `frozen`", section)
    assert named is not None
    lines = section.splitlines()
    head = next(text for text in lines if re.fullmatch(r"[ \d]+", text) and text.strip())
    row = next(text for text in lines if text.startswith(f"{server} "))
    end = re.search(rf" {named[1]}(?= |$)", head)
    assert end is not None
    letter = row[: end.end()].split()[-1]
    return {"M": "missed"}.get(letter, "true_reap" if letter[0].isdigit() else letter)


@pytest.mark.parametrize("server", NAMES)
def test_each_does_with_a_frozen_client_what_the_report_says(frozen: dict[str, dict[str, Any]], server: str) -> None:
    run = frozen[server]
    assert run["verdict"] != "inconclusive", run["why"]
    assert (run["stuck_bytes"] > 0) == (server not in QUIET)
    assert run["class"] == reported(server)


@pytest.mark.parametrize("server", NAMES)
def test_each_that_holds_it_shows_what_it_is_doing(frozen: dict[str, dict[str, Any]], server: str) -> None:
    run = frozen[server]
    assert bool(run["stacks"]) == (run["class"] == "missed")


def test_two_reports_are_the_same_to_the_last_byte(tmp_path: Path) -> None:
    found = set()
    for n in ("1", "2"):
        out = tmp_path / n
        # A threaded server, one that forks, and one on Node.js.
        targets = (f"examples/{name}.toml" for name in ("websockets_sync/default", "asgi/granian", "ws/default"))
        ran = field(out, *targets, "--grace", "10s")
        assert ran.code == 0, ran
        report = halfopen("field", "--render", str(out / "field.json"))
        timelines = [path.read_text() for path in sorted(out.rglob("*.jsonl"))]
        assert len(timelines) == 3
        found.add((report.out, *timelines))
    assert len(found) == 1
