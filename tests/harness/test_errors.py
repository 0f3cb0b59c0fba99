"""A program that fails is quoted: its last words in the sentence, and all of them below if there are more."""

from __future__ import annotations

from halfopen.errors import QUOTE, quoted

TRACEBACK = ["Traceback (most recent call last):", '  File "app.py", line 1', "    boom()", "KeyError: 'URL'"]


def test_one_line_is_in_the_sentence_alone() -> None:
    assert quoted(["", "no database", ""]) == "; it said: no database"
    assert quoted([]) == quoted(["", " "]) == ""


def test_more_lines_are_below() -> None:
    assert quoted(["loading", "no database"]) == f"; it said: no database{QUOTE}loading{QUOTE}no database"


def test_the_last_words_are_the_exception_though_another_stream_came_later() -> None:
    assert quoted([*TRACEBACK, "loading"]).startswith("; it said: KeyError: 'URL'\n")


def test_a_traceback_that_is_cut_off_has_last_words_too() -> None:
    assert quoted(TRACEBACK[:2]).startswith('; it said: File "app.py", line 1\n')
