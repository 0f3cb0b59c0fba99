"""Faults begun by a scenario or by hand, distinguished and undone; and the closing account of a hold."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.repro.director import Faults, account
from halfopen.run.faults_in_force import FaultsInForce
from halfopen.run.session import Session
from halfopen.scenario.scenario_file import step_of
from halfopen.verdict.findings import find
from tests.harness.lines import event, flowing, line, orphaned, stuck
from tests.harness.repro.test_wedge import BEGUN, scenario
from tests.harness.repro.views import view

REAPED = event(43, "target", "dead_client_reaped", reason="send_stall", backlog_bytes=9, stall_s=38.0)


class Client:
    """A process that stands for the client's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


@pytest.fixture
def client() -> Iterator[Client]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield Client(process.pid)
        process.kill()


def state(client: Client) -> str:
    return Path(f"/proc/{client.pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def faults(client: Client, journal: Journal) -> Iterator[Faults]:
    nothing = cast(Any, None)
    scene = Scene(
        client=cast(Any, client),
        server=nothing,
        client_host=nothing,
        link=nothing,
        note=lambda name, **data: journal.note("fault", name, **data),
        seeded=nothing,
        rival=nothing,
    )
    session = Session(
        client=nothing,
        client_link=cast(Any, SimpleNamespace(journal=journal)),
        server=nothing,
        recorder=nothing,
        watch=nothing,
        scene=scene,
        faults=FaultsInForce(journal, scene),
    )
    yield Faults(session, numbered_from=1)
    session.undo_all()


def begun(journal: Journal) -> list[tuple[str, int, str]]:
    events = journal.timeline().of("fault", "begun", "undone")
    return [(event.name, event.data["step"], event.data["fault"]) for event in events]


def test_a_step_is_undone_by_hand_and_done_again_under_a_number_of_its_own(client: Client) -> None:
    journal = Journal()
    with faults(client, journal) as held:
        held.begin(step_of({"at": "5s", "fault": "freeze"}, "step"), 0)
        assert held.has("freeze")
        assert state(client) == "T"
        assert held.undo_all(stopping=False) == []
        assert held.undo_all(stopping=True) == ["freeze"]
        assert state(client) != "T"
        held.begin_by_hand("freeze")
        assert state(client) == "T"
    assert state(client) != "T"
    assert begun(journal) == [
        ("begun", 0, "freeze"),
        ("undone", 0, "freeze"),
        ("begun", 1, "freeze"),
        ("undone", 1, "freeze"),
    ]


def test_what_cannot_be_undone_is_left_alone(client: Client) -> None:
    with faults(client, Journal()) as held:
        held.begin_by_hand("noop")
        assert held.undo_all(stopping=False) == []
        assert [fault.fault for fault in held.now] == ["noop"]


@pytest.mark.parametrize(("declared", "undone"), [("", True), ("IS_FINAL = True", False)])
def test_a_fault_from_elsewhere_declares_that_it_cannot_be_undone(
    declared: str, undone: bool, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    name = f"ends_{'not' if undone else 'all'}"
    text = f"from halfopen.faults.noop import Options, fault, signature\n{declared}\n"
    (tmp_path / "elsewhere" / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with faults(client, Journal()) as held:
        held.begin_by_hand(f"elsewhere.{name}")
        assert bool(held.undo_all(stopping=False)) == undone


def test_the_account_says_what_was_held_and_what_became_of_it() -> None:
    kept = find(line(flowing(0, 5), BEGUN, stuck(5, 42)), scenario())
    lines = account(view(), kept, "halfopen repro frozen", lists_actions=True)
    assert lines[0] == (
        "held for 33.8s; the session was still held by the server: 600 kB queued, nothing acknowledged for 37s"
    )
    assert lines[2] == "      5.0s  freeze is in force"
    assert lines[-2:] == ["capture: frozen.pcapng, 1234 packets", "again:   halfopen repro frozen"]


def test_the_account_of_a_session_that_was_reaped_says_by_what() -> None:
    reaped = find(line(flowing(0, 5), BEGUN, stuck(5, 43), orphaned(43, 44), REAPED), scenario())
    assert account(view(), reaped, "x", lists_actions=False)[0] == (
        "held for 33.8s; the session was reaped at 43.0s (send_stall)"
    )


def test_a_session_that_was_never_held_is_said_to_be_open() -> None:
    early = msgspec.structs.replace(view(), held=None, still_since=None)
    alive = find(line(flowing(0, 5)), scenario())
    assert account(early, alive, "x", lists_actions=False)[0] == (
        "never held; the session was still open, with nothing stuck"
    )
