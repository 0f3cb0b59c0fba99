"""Keys that can be pressed in advance, and their names."""

from __future__ import annotations

import pytest

from halfopen.repro.keys import PASSING, REAL, VIRTUAL, named, why_not


@pytest.mark.parametrize(
    ("key", "name"),
    [("\x1a", "Ctrl-Z"), ("\x01", "Ctrl-A"), ("\r", "Enter"), (" ", "Space"), ("\x7f", "Backspace"), ("z", "z")],
)
def test_a_key_is_called_by_what_is_written_on_it(key: str, name: str) -> None:
    assert named(key) == name


def test_at_a_terminal_all_of_a_clocks_keys_can_be_pressed_in_advance() -> None:
    assert why_not("".join(key.key for key in REAL), is_virtual=False, at_terminal=True) is None
    assert why_not("".join(key.key for key in VIRTUAL), is_virtual=True, at_terminal=True) is None


@pytest.mark.parametrize("key", sorted(PASSING))
def test_time_goes_on_by_itself_on_a_real_clock(key: str) -> None:
    assert (
        why_not(key, is_virtual=False, at_terminal=True) == f"{key!r} is not a key; the keys are t f c h d w p s l ? q"
    )


@pytest.mark.parametrize("key", ["s", "l", "?"])
def test_some_need_a_user_at_a_terminal(key: str) -> None:
    assert why_not(f"d{key}", is_virtual=False, at_terminal=False) == f"{key!r} needs a user at a terminal"
    assert why_not("tfchdwpq", is_virtual=False, at_terminal=False) is None


@pytest.mark.parametrize("at_terminal", [True, False])
def test_there_are_no_shells_in_a_guest(at_terminal: bool) -> None:
    why = why_not("s", is_virtual=True, at_terminal=at_terminal)
    assert why == "'s': a guest kernel has no shells; use the real clock (--clock real)"
