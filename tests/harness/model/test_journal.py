"""The journal keeps the telling part of endless output, and nothing that would break a file."""

from __future__ import annotations

import itertools

import pytest

from halfopen.model.journal import Journal
from halfopen.model.kept_output import FIRST, LAST


def texts(journal: Journal) -> list[str]:
    return [str(event.data["text"]) for event in journal.timeline().of("target", "output")]


def chat(journal: Journal, start: int, count: int) -> None:
    for n in range(start, start + count):
        journal.note("target", "output", journal.start + n / 100, text=f"line {n}")


@pytest.mark.parametrize(
    ("kind", "name"), [("fault", "begun"), ("kernel", "gone"), ("client", "close_received"), ("target", "exited")]
)
def test_the_lines_around_what_matters_are_kept_though_the_server_goes_on(kind: str, name: str) -> None:
    journal = Journal()
    chat(journal, 0, 5000)
    journal.note(kind, name, journal.start + 50)
    chat(journal, 5000, 5000)
    kept = texts(journal)
    assert {"line 0", "line 4950", "line 5050", "line 9999"} <= {*kept}
    assert "line 7000" not in kept
    (dropped,) = journal.timeline().of("target", "output_dropped")
    assert dropped.data["lines"] == 10_000 - len(kept)
    assert kept == sorted(kept, key=lambda text: int(text.split()[1])), "in the order of time"


def test_a_server_that_says_little_loses_nothing() -> None:
    journal = Journal()
    chat(journal, 0, FIRST + LAST)
    assert len(texts(journal)) == FIRST + LAST
    assert not list(journal.timeline().of("target", "output_dropped"))


def test_stacks_that_are_asked_for_are_kept_after_a_flood() -> None:
    journal = Journal()
    chat(journal, 0, 5000)
    journal.close_session()
    journal.note("target", "stacks_asked", journal.start + 50, pid=7)
    chat(journal, 5000, 150)
    chat(journal, 10_000, 5000)
    assert {f"line {n}" for n in range(5000, 5150)} <= {*texts(journal)}


def test_colours_and_characters_that_xml_forbids_are_left_out() -> None:
    journal = Journal()
    journal.note("target", "output", text="\x1b[1;31mERROR\x1b[0m no\x00 room\x08\tat all")
    assert texts(journal) == ["ERROR no room\tat all"]


def test_followers_get_the_same_lines() -> None:
    follower = Journal()
    chat(Journal(follower), 0, 3)
    assert texts(follower) == ["line 0", "line 1", "line 2"]


def test_a_server_that_prints_without_end_is_waited_for_no_longer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, checks = Journal(), itertools.count()

    def has_more(_: int) -> bool:
        assert next(checks) < 1_000_000, "the wait goes on"
        return True

    monkeypatch.setattr(journal, "_has_printed_more", has_more)
    journal.wait_for_quiet(quiet=1.0, longest=0.01)
    assert next(checks) > 0
