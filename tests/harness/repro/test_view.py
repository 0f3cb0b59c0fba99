"""The whole view of a held session, compared with the reviewed files in screens/."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.color import ColorSystem
from rich.console import Console

from halfopen.repro import view
from halfopen.repro.keys import REAL, VIRTUAL, KeyStroke
from halfopen.repro.view import Action, SessionView, Stacks
from halfopen.results import words
from tests.harness.lines import sample
from tests.harness.repro import views

SCREENS = Path(__file__).parent / "screens"


def drawn(
    shown: SessionView, width: int, height: int | None = None, *, colour: bool = False, shows_help: bool = False
) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, force_terminal=colour, no_color=not colour)
    console._color_system = ColorSystem.STANDARD if colour else None
    text = view.draw(shown, width, height, REAL if height else (), shows_help=shows_help)
    console.print(text, soft_wrap=height is None)
    return stream.getvalue()


CASES = {
    "80x24": drawn(views.view(), 80, 24),
    "120x40": drawn(views.view(), 120, 40),
    "80x24-colour": drawn(views.view(), 80, 24, colour=True),
    "120x40-colour": drawn(views.view(), 120, 40, colour=True),
    "80x24-help": drawn(views.view(), 80, 24, shows_help=True),
    "80-paper": drawn(views.view(), 80),
    "120-paper": drawn(views.view(), 120),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_drawn_as_it_was_when_it_was_looked_at(name: str) -> None:
    assert CASES[name] == (SCREENS / f"{name}.txt").read_text()


@pytest.mark.parametrize("height", range(1, 60))
@pytest.mark.parametrize("width", [20, 80, 200])
def test_it_never_needs_more_room_than_there_is(width: int, height: int) -> None:
    lines = view.draw(views.view(), width, height, REAL).plain.splitlines()
    assert len(lines) <= height
    assert all(len(one) <= width for one in lines)


@pytest.mark.parametrize("keys", [REAL, VIRTUAL])
def test_the_keys_fit_below_and_the_last_is_the_way_out(keys: tuple[KeyStroke, ...]) -> None:
    last = view.draw(views.view(), 80, 24, keys).plain.splitlines()[-1]
    assert last.endswith("q quit")


def test_the_two_stacks_of_the_incident_are_seen_on_the_smallest_terminal() -> None:
    text = view.draw(views.view(), 80, 24, REAL).plain
    assert "thread 12 (runner-s1): in sendall, holds protocol_mutex" in text
    assert "thread 14 (keepalive): waits for protocol_mutex, held by thread 12" in text


def test_before_anything_is_seen_there_is_something_to_see() -> None:
    early = SessionView(t=0.1, title="frozen", phase="streaming")
    assert drawn(early, 80) == (
        "frozen   t = 0.1s\n"
        "not held yet: streaming\n"
        "bytes are acknowledged, or none are queued\n"
        "counter                 now last minute        meaning\n"
        "the server's socket has not been seen yet\n"
        "in force: nothing\n"
    )


def test_where_no_stacks_can_be_had_it_says_why() -> None:
    without = msgspec.structs.replace(views.view(), stacks=Stacks(8.0, None, "process 7 is another user's"))
    assert "threads at 8.0s:\nprocess 7 is another user's\n" in drawn(without, 80)


def test_what_is_no_longer_so_is_put_into_the_past() -> None:
    assert "\nheld at 8.2s: wedged: window closed" in drawn(views.view(), 80)
    for moved in (
        {"still_since": None},
        {"still_since": 30.0},
        {"over_at": 40.0, "over": "over at 40.0s"},
    ):
        assert "\nwas held at 8.2s: window closed" in drawn(msgspec.structs.replace(views.view(), **moved), 80)
    untouched = {"held": "the scenario has no faults; nothing queued", "still_since": None}
    assert "\nheld at 8.2s: the scenario has no faults" in drawn(msgspec.structs.replace(views.view(), **untouched), 80)


def test_the_counters_of_a_socket_that_is_gone_are_the_last_and_say_so() -> None:
    gone = drawn(msgspec.structs.replace(views.view(43.0), over="over at 42.0s", is_last=True), 80)
    assert "counter            at 42.0s last minute" in gone
    assert re.search(r"last seen \S+ ago: it is gone\n", gone)
    assert "open both ways" not in gone


def test_a_long_command_is_shortened_and_not_the_moment() -> None:
    long = msgspec.structs.replace(
        views.view(), title="pod_5090/frozen against python ws_server.py --host {host} --port {port}"
    )
    assert view.draw(long, 80, 24, REAL).plain.splitlines()[0].endswith("…   t = 42.0s")
    assert drawn(long, 80).splitlines()[0].endswith("--port {port}   t = 42.0s")


def test_what_is_too_long_for_its_line_goes_on_in_the_next_at_a_word() -> None:
    long = msgspec.structs.replace(views.view(), over=f"over at 40.0s; the kernel keeps {'it ' * 30}for nobody")
    text = view.draw(long, 80, 30, REAL).plain
    assert "\n  it it" in text
    assert "for nobody\n" in text
    told = msgspec.structs.replace(views.view(), actions=(*views.view().actions, Action(41.0, f"{'word ' * 20}end")))
    assert "\n          word word word" in (text := view.draw(told, 80, 30, REAL).plain)
    assert " end\n" in text


def test_what_became_of_a_reaped_session_fits_a_line_of_80() -> None:
    stuck = sample(143.0, outq=711_000, state="FIN_WAIT1", orphan=True)
    assert len(words.remains(stuck, 143.0, None)) <= 80
    for state in words.STATES:
        shown = msgspec.structs.replace(views.view(), sample=msgspec.structs.replace(stuck, state=state))
        assert "…" not in next(row for row in view.draw(shown, 80, 24).plain.splitlines() if row.startswith("state "))
