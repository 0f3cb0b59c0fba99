"""A container's wedged session, held for inspection."""

from __future__ import annotations

from pathlib import Path

from tests import engine
from tests.harness.cli.tool import halfopen
from tests.harness.targets.image.tool import UNWATCHED
from tests.machine import needs_engine, needs_labs

pytestmark = [needs_engine, needs_labs]


def test_it_is_held_and_captured_and_its_stacks_are_said_to_be_out_of_sight(tmp_path: Path) -> None:
    file = tmp_path / "frozen.pcapng"
    server = ("--image", engine.IMAGE, "--command", UNWATCHED, "--sessions", "/sessions")
    ran = halfopen("repro", "frozen", *server, "--once", "--pcap", str(file))
    assert ran.code == 0, ran
    assert ": wedged: window closed, " in ran.out
    assert "session listed\n" in ran.out
    assert "watchdog: the server's own, which cannot be held\n" in ran.out
    assert b"freeze is in force" in file.read_bytes()
    assert "s:\nnot available: the lab cannot see the processes of a container\n" in ran.out
