"""Output of a hold, without a terminal and after one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from halfopen.repro.frontends import print_account

SAID = "held for 33.8s; the session was reaped"
AGAIN = "again:   halfopen repro pod_5090/frozen --seed 7"


@pytest.mark.parametrize(
    ("is_terminal", "printed"),
    [
        (True, "held for 33.8s; the \nsession was reaped\n"),
        (False, f"{SAID}\n"),
    ],
)
def test_an_account_is_broken_between_words_on_a_terminal_and_its_command_never(
    is_terminal: bool, printed: str
) -> None:
    console = Console(file=io.StringIO(), width=24, force_terminal=is_terminal, color_system=None)
    print_account(console, [SAID, AGAIN])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"{printed}{AGAIN}\n"
