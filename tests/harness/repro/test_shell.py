"""Errors for a shell that cannot be opened."""

from __future__ import annotations

from typing import Any, cast

import pytest

from halfopen.repro import shell


def test_a_shell_that_is_none_is_named_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/nonexistent/fish")
    said = shell.run(cast(Any, None), "server", -1)
    assert said == "no shell: $SHELL '/nonexistent/fish' cannot be run"
