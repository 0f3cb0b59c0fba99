"""A plugin is one file and nothing else, in the tree or in a folder of the user's own (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from halfopen import clients, faults, plugins, proxies
from halfopen.errors import InputError
from halfopen.pod import detectors
from tests.harness.cli.tool import Ran, by_scenario, halfopen, results
from tests.machine import needs_guest

PACKAGES = (clients, faults, proxies, detectors)
NAP = """
from halfopen.faults import freeze

SUMMARY = "the client takes a nap"
STOPS_CLIENT = True
Options = freeze.Options
fault = freeze.fault
signature = freeze.signature
"""
NIBBLING = """
from halfopen.clients import acking
from halfopen.model.evidence import Proof, all_of

SUMMARY = "acknowledges by the bite"
Options = acking.Options


class Behaviour(acking.Behaviour):
    def acknowledgement(self, received):
        return received - received % 4096


def signature(seen):
    return all_of(acking.signature(seen), Proof(True, "nibbled"))
"""
DROWSY = """
from halfopen.pod.detectors._seam import Watchdogs
from halfopen.pod.watchdog import StallRule

SUMMARY = "as the merged watchdog, for another reason"


class RULE(StallRule):
    reason = "fell_asleep"


def create(settings):
    return Watchdogs(settings, lambda _, now: RULE(now))
"""
SCENARIO = """
title = "A nap"
story = "All of it is from outside."
truth = "dead"
client = "nibbling"
[[step]]
at = "5s"
fault = "nap"
[expect]
session = "reaped"
reason = "fell_asleep"
within = "grace + poll + 1s"
"""


def test_a_file_is_a_plugin_under_its_name_with_dashes() -> None:
    folder = Path(next(iter(detectors.__path__)))
    files = [path.stem for path in folder.glob("[!_]*.py")]
    assert plugins.names(detectors) == sorted(name.replace("_", "-") for name in files)
    assert plugins.load(detectors, "bytes-acked").__name__ == "halfopen.pod.detectors.bytes_acked"


def test_the_machinery_is_no_plugin() -> None:
    assert not any(name.startswith("-") for package in PACKAGES for name in plugins.names(package))
    assert "machine" not in plugins.names(clients)


def test_every_client_and_every_fault_has_what_the_seam_asks_for() -> None:
    for name in plugins.names(clients):
        module = plugins.load(clients, name)
        assert module.Options().receive_buffer > 0
        assert callable(module.Behaviour)
        assert callable(module.signature)
    for name in plugins.names(faults):
        module = plugins.load(faults, name)
        assert issubclass(module.Options, msgspec.Struct)
        assert callable(module.fault)
        assert callable(module.signature)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_says_in_a_line_what_it_is(package: object) -> None:
    for name, summary in plugins.summaries(package).items():  # type: ignore[arg-type]
        assert summary, name
        assert "\n" not in summary, name


def test_one_of_your_own_is_named_by_its_import_path() -> None:
    assert plugins.load(detectors, "tests.planted.reap_always").__name__ == "tests.planted.reap_always"
    with pytest.raises(InputError, match=r"cannot import detector 'no\.such': No module named 'no'"):
        plugins.load(detectors, "no.such")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put one plugin of each kind into a folder outside the tree; return a scenario with them."""
    for file, text in {"faults/nap": NAP, "clients/nibbling": NIBBLING, "detectors/drowsy": DROWSY}.items():
        path = tmp_path / "plugins" / f"{file}.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "plugins"))
    scenario = tmp_path / "asleep.toml"
    scenario.write_text(SCENARIO)
    return scenario


@pytest.mark.usefixtures("outside")
def test_plugins_from_outside_are_listed_with_ours() -> None:
    out = halfopen("list").out
    assert "drowsy            as the merged watchdog, for another reason" in out
    assert "nap           the client takes a nap" in out
    assert "nibbling            acknowledges by the bite" in out
    assert "bytes-acked" in out


@needs_guest
def test_plugins_from_outside_are_run_and_reported(outside: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--clock", "virtual", "--detector", "drowsy", "--grace", "5s", "--out", str(out))
    ran = halfopen("run", str(outside), *options)
    assert ran.code == 0, ran
    run = by_scenario(out)["asleep"]
    assert (run["verdict"], run["reason"]) == ("passed", "fell_asleep")
    assert results(out)["detector"] == "drowsy"
    report = (out / "report.html").read_text()
    for text in ("the client takes a nap", "nibbling", "drowsy"):
        assert text in report


@needs_guest
def test_a_session_of_plugins_from_outside_is_held(outside: Path) -> None:
    ran = halfopen("repro", str(outside), "--once", "--clock", "virtual", "--detector", "drowsy")
    assert ran.code == 0, ran
    assert "watchdog: held: drowsy" in ran.out
    assert "in force: nap" in ran.out


@pytest.mark.usefixtures("outside")
def test_a_detector_from_outside_judges_the_sessions_of_running_servers() -> None:
    with stalled_session():
        ran = watched("--json", "--detector", "drowsy")
        (session,) = json.loads(ran.out)["sessions"]
        assert session["verdicts"]["drowsy"]["why"] == "fell asleep"
        assert session["verdicts"].keys() > {"drowsy"}
        assert watched("--detector", "drowsy").out.splitlines()[1].split()[-1] == "drowsy"


def watched(*options: str) -> Ran:
    return halfopen("watch", "--once", "--pid", str(os.getpid()), *options)


@contextlib.contextmanager
def stalled_session() -> Iterator[None]:
    """Have this process serve a client that reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        server, _ = listener.accept()
        with server:
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.send(bytes(1 << 16))
            yield


#: A literal, or a match statement, with so many plugins of a kind lists them.
SEVERAL = 3


def test_no_module_lists_plugins_by_name(repository: Path) -> None:
    kinds = [set(plugins.names(package)) for package in PACKAGES]
    own = {Path(folder).resolve() for package in PACKAGES for folder in package.__path__}
    for path in sorted((repository / "harness").rglob("*.py")):
        if path.resolve().parent in own:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            texts = set(texts_of(node))
            assert all(len(texts & kind) < SEVERAL for kind in kinds), f"{path}:{getattr(node, 'lineno', 0)}: {texts}"


def texts_of(node: ast.AST) -> Iterator[str]:
    """Yield the texts of a collection, or those that a match statement compares with."""
    within: list[ast.AST] = []
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        within = [*node.elts]
    elif isinstance(node, ast.Dict):
        within = [key for key in node.keys if key]
    elif isinstance(node, ast.Match):
        within = [part for case in node.cases for part in ast.walk(case.pattern)]
    for part in within:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
