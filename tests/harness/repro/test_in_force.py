"""Faults begun by a scenario or by hand, distinguished and undone."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal
from halfopen.repro.in_force import Faults
from halfopen.run.session import Session
from halfopen.scenario.spec import step_of


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
    )
    yield Faults(session, numbered_from=1)
    session.undo_all()


def begun(journal: Journal) -> list[tuple[str, int, str]]:
    events = journal.timeline().of("fault", "begun", "undone")
    return [(event.name, event.data["step"], event.data["fault"]) for event in events]


def test_a_step_is_undone_by_hand_and_done_again_under_a_number_of_its_own(client: Client) -> None:
    journal = Journal()
    with faults(client, journal) as its:
        its.begin(step_of({"at": "5s", "fault": "freeze"}, "step"), 0)
        assert its.has("freeze")
        assert state(client) == "T"
        assert its.undo_all(stopping=False) == []
        assert its.undo_all(stopping=True) == ["freeze"]
        assert state(client) != "T"
        its.begin_by_hand("freeze")
        assert state(client) == "T"
    assert state(client) != "T"
    assert begun(journal) == [
        ("begun", 0, "freeze"),
        ("undone", 0, "freeze"),
        ("begun", 1, "freeze"),
        ("undone", 1, "freeze"),
    ]


def test_what_cannot_be_undone_is_left_alone(client: Client) -> None:
    with faults(client, Journal()) as its:
        its.begin_by_hand("noop")
        assert its.undo_all(stopping=False) == []
        assert [one.fault for one in its.now] == ["noop"]


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
    with faults(client, Journal()) as its:
        its.begin_by_hand(f"elsewhere.{name}")
        assert bool(its.undo_all(stopping=False)) == undone
