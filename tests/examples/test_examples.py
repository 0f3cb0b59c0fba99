"""Every server of examples/ fails as it comes, as docs/field-report.md says, and passes the suite core with its fix."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from halfopen.scenario import target_spec
from tests.harness.cli.tool import Ran, halfopen
from tests.machine import needs_go_servers, needs_guest, needs_haproxy, needs_nginx, needs_servers
from tests.servers import EXAMPLES, environment

pytestmark = [needs_guest, needs_servers, needs_go_servers, needs_nginx, needs_haproxy]

ROOT = EXAMPLES.parent
TERMS = ("--clock", "virtual", "--seed", "7")
FROZEN = ("--scenario", "dead/frozen")
#: Those that send nothing to a client that was frozen early.
QUIET = {"asgi/uvicorn_push", "websockets_events/default", "ws_chat/default"}
SPECS = {spec.name: spec for spec in target_spec.find([EXAMPLES])}
NAMES = [name for name, spec in SPECS.items() if not spec.fixes]
#: uvicorn's other two implementations of WebSocket. Their fix is the same lines.
TWINS = ["asgi/uvicorn_websockets_sansio_fixed", "asgi/uvicorn_wsproto_fixed"]
FIXED = [name for name, spec in SPECS.items() if spec.fixes and name not in TWINS]
BEFORE = {str(SPECS[name].fixes_name) for name in FIXED}


def files(names: list[str]) -> list[str]:
    return [f"examples/{name}.toml" for name in names]


def field(out: Path, *words: str) -> Ran:
    # The results contain file names as given, so run where the report is made.
    return halfopen("field", *words, *TERMS, "--out", str(out), cwd=ROOT, env=environment())


def table(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "field.json").read_text())
    return found


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("field")
    ran = field(out, *files(NAMES), *FROZEN)
    assert ran.code == 0, ran
    return {run["target"]: run for run in table(out)["runs"]}


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Any]]]:
    return in_front_of_core(FIXED, tmp_path_factory.mktemp("fixed"))


def in_front_of_core(names: list[str], out: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the runs of core by server and scenario."""
    ran = field(out, *files(names), "--scenario", "core")
    assert ran.code == 0, ran
    runs: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for run in table(out)["runs"]:
        runs[run["target"]][run["scenario"]] = run
    return runs


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


@pytest.mark.parametrize("server", [name for name in NAMES if SPECS[name].stacks])
def test_each_that_holds_it_shows_what_it_is_doing(frozen: dict[str, dict[str, Any]], server: str) -> None:
    run = frozen[server]
    assert bool(run["stacks"]) == (run["class"] == "missed")


@pytest.mark.parametrize("server", sorted(BEFORE))
def test_each_that_has_a_fix_fails_without_it(frozen: dict[str, dict[str, Any]], server: str) -> None:
    assert frozen[server]["verdict"] == "failed"


@pytest.mark.parametrize("server", FIXED)
def test_each_passes_core_with_its_fix(fixed: dict[str, dict[str, dict[str, Any]]], server: str) -> None:
    require_green(fixed[server])


@pytest.mark.exhaustive
def test_the_fix_does_for_uvicorns_other_implementations_too(tmp_path: Path) -> None:
    for runs in in_front_of_core(TWINS, tmp_path).values():
        require_green(runs)


def require_green(runs: dict[str, dict[str, Any]]) -> None:
    assert {run["why"] for run in runs.values() if run["verdict"] not in {"passed", "not_applicable"}} == set()
    classes = Counter(run["class"] for run in runs.values() if run["verdict"] == "passed")
    assert classes["true_reap"] >= 3
    assert classes["true_keep"] >= 3


@pytest.mark.parametrize("server", ["nginx/fixed", "haproxy/fixed"])
def test_a_proxy_lets_go_of_the_server_behind_it_too(fixed: dict[str, dict[str, dict[str, Any]]], server: str) -> None:
    reaped = [run for run in fixed[server].values() if run["class"] == "true_reap"]
    assert {run["files_left"] for run in reaped} == {0}


def test_two_reports_are_the_same_to_the_last_byte(tmp_path: Path) -> None:
    found = set()
    for n in ("1", "2"):
        out = tmp_path / n
        # A threaded server, one that forks, and one on Node.js.
        targets = (f"examples/{name}.toml" for name in ("websockets_sync/default", "asgi/granian", "ws/default"))
        ran = field(out, *targets, *FROZEN, "--grace", "10s")
        assert ran.code == 0, ran
        report = halfopen("field", "--render", str(out / "field.json"))
        timelines = [path.read_text() for path in sorted(out.rglob("*.jsonl"))]
        assert len(timelines) == 3
        found.add((report.out, *timelines))
    assert len(found) == 1
