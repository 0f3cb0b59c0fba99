from __future__ import annotations

import threading
from typing import NoReturn

import pytest
import rich.live
from rich.live import Live

from halfopen.displays import displayed
from tests import screens

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_the_cursor_is_shown_again_although_the_start_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    console, written = screens.console(80, colour=True)

    class Interrupted(threading.Thread):
        def __init__(self, *_: object) -> None:
            super().__init__()

        def start(self) -> NoReturn:
            assert written.getvalue().endswith(HIDE)
            raise KeyboardInterrupt

        def stop(self) -> None:
            pass

    monkeypatch.setattr(rich.live, "_RefreshThread", Interrupted)
    with pytest.raises(KeyboardInterrupt), displayed(Live(console=console)):
        pytest.fail("it has started")
    assert written.getvalue().rindex(SHOW) > written.getvalue().rindex(HIDE)


def test_the_cursor_is_shown_again_once() -> None:
    console, written = screens.console(80, colour=True)
    with displayed(Live("text", console=console)):
        pass
    assert (written.getvalue().count(HIDE), written.getvalue().count(SHOW)) == (1, 1)
