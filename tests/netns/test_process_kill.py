from __future__ import annotations

import os
import subprocess

import pytest

from halfopen.netns import process_kill
from halfopen.netns.lab_errors import TeardownError


def test_a_process_that_does_not_end_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_kill, "_PATIENCE", 0.01)
    with subprocess.Popen(["sleep", "1000"]) as sleeper, monkeypatch.context() as powerless:
        powerless.setattr(os, "kill", lambda _pid, _signal: None)
        named = rf"^host 'server': process {sleeper.pid} \(sleep 1000, state S\) did not end within 10ms of SIGKILL$"
        with pytest.raises(TeardownError, match=named):
            process_kill.kill_all(lambda: [sleeper.pid], "host 'server'")
        powerless.undo()
        sleeper.kill()
