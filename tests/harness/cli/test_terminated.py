"""SIGTERM, as sent by timeout(1) and by CI: reported as such, and the terminal is restored."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from halfopen.cli import quick
from halfopen.netns import interrupts
from halfopen.watch import watched_server
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN
from tests.harness.repro import at_a_terminal
from tests.machine import needs_guest, needs_labs

SCENARIOS = ("active", "--grace", "5s", "--out", "out")
VIRTUAL = ("--runs", "40", "--jobs", "1", "--out", "out")


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        pytest.param(("run", *SCENARIOS), "verdict in", marks=needs_labs, id="run"),
        pytest.param(("compare", *SCENARIOS), "0 of 10 runs", marks=needs_labs, id="compare"),
        pytest.param(("grace", *VIRTUAL), "sessions", marks=needs_guest, id="grace"),
    ],
)
def test_a_command_that_draws_ends_with_the_cursor_shown(command: tuple[str, ...], sign: str, tmp_path: Path) -> None:
    before = leftovers.take_stock()
    with at_a_terminal.running([*HALFOPEN, *command], 50, 120, cwd=tmp_path) as terminal:
        terminal.see_that(lambda text: sign in text and not terminal.shows_cursor, sign)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
        assert terminal.shows_cursor
        assert terminal.modes() == terminal.before
        assert "Traceback" not in terminal.text
    assert not leftovers.since(before)


def test_who_is_watched_no_longer_is_shown_a_last_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [*HALFOPEN, "watch", "--pid", str(os.getpid())]
        with at_a_terminal.running(command, cwd=tmp_path) as terminal:
            terminal.see_that(
                lambda text: f"port {listening.getsockname()[1]} " in text and not terminal.shows_cursor, "a look"
            )
            terminal.process.send_signal(signal.SIGTERM)
            assert terminal.end() == 0
            assert terminal.shows_cursor


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (interrupts.Terminated, 143)])
def test_of_what_nobody_looked_at_nothing_is_said(
    interrupt: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unseen:
        def poll(self, *, whole: bool) -> NoReturn:
            assert not whole
            raise interrupt

    monkeypatch.setattr(watched_server, "find", lambda *_, **__: Unseen())
    with pytest.raises(SystemExit) as ended:
        quick.main(["watch", "--once", "--pid", str(os.getpid())])
    assert ended.value.code == code


def test_it_interrupts_once_and_then_ends_whoever_does_not_listen() -> None:
    with interrupts.interrupting():
        with pytest.raises(interrupts.Terminated) as raised:
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_ignores_or_handles_it_goes_on_doing_so() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with interrupts.interrupting():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
