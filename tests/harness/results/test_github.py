"""Output for GitHub: commands that stay on their line, failures first up to the limit shown, and a summary."""

from __future__ import annotations

import dataclasses
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.results import github, record
from halfopen.results.baseline import Baseline, Known
from halfopen.results.workflow_commands import command
from halfopen.run.hindrances import LeftOut
from halfopen.run.request import RunRequest
from tests.harness.done import done

KNOWN = Baseline({"dead/frozen": Known("failed", "missed", "#12")}, file="expected.toml", strays=("no such thing",))


def how(known: Baseline | None) -> record.Conditions:
    return record.conditions(RunRequest(seed=7, grace=30, poll=2), [done("passed").job], "real", known)


def undone(text: str) -> str:
    """Decode a command's data and properties as GitHub's runner does (actions/runner, ActionCommand)."""
    for escape, letter in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escape, letter)
    return text


@given(st.text(), st.text())
def test_a_command_is_one_line_whose_parts_can_be_read_again(title: str, message: str) -> None:
    line = command("error", title, message)
    told = re.fullmatch(r"::error title=([^:,\r\n]*)::([^\r\n]*)", line, re.DOTALL)
    assert told
    assert (undone(told[1]), undone(told[2])) == (title, message)


def test_failures_come_first_and_then_what_proved_nothing_and_what_is_stale() -> None:
    runs = [done("inconclusive", "dead/killed"), done("passed"), done("failed", "dead/slept"), done("passed", "wedge")]
    lines = github.commands(how(KNOWN), runs)
    assert [line.partition("::because")[0].partition("::no")[0] for line in lines[:2]] == [
        "::error title=halfopen%3A slept",
        "::warning title=halfopen%3A killed",
    ]
    assert "::because it failed%0A%0Aslept   client ──▶ server%0A" in lines[0]
    assert lines[2:] == [
        "::warning title=halfopen%3A known failures::dead/frozen passed; remove it from expected.toml",
        "::warning title=halfopen%3A known failures::no such thing",
    ]


def test_what_is_known_is_not_annotated() -> None:
    assert github.commands(how(Baseline(KNOWN.known)), [done("failed")]) == []


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 10), (40, 10)])
def test_of_more_than_are_shown_the_last_says_how_many_there_are(count: int, shown: int) -> None:
    lines = github.commands(how(None), [done("failed", repeat=n) for n in range(1, count + 1)])
    assert len(lines) == shown
    more = f"::error title=halfopen::{count - 9} more are in the job's summary and in its log"
    assert (lines[-1] == more) == (count > shown)


def test_the_summary_counts_what_was_left_out_and_says_what_helps() -> None:
    left_out = LeftOut("satellite", "alive", "needs sch_netem", "halfopen kernel build")
    lines = github.summary(dataclasses.replace(how(None), left_out=(left_out,)), [done("passed")], 9.0).splitlines()
    assert unescape(lines[0]) == "## halfopen: 1 passed, 1 left out in 9s"
    assert lines[-4:-1] == [
        "left out: alive/satellite (needs sch_netem; to run it: halfopen kernel build)",
        "to run 1 of those left out: halfopen kernel build",
        "```",
    ]


def test_the_summary_has_a_row_a_run_and_a_story_for_what_is_not_green() -> None:
    why = "``` <failed>"
    runs = [done("failed"), done("failed", "dead/killed", was=False, why=why), done("passed", "dead/slept")]
    lines = github.summary(how(Baseline(KNOWN.known)), runs, 9.0).splitlines()
    assert unescape(lines[0]) == "## halfopen: 1 passed, 1 failed, 1 known failure in 9s"
    assert lines[2].endswith("seed 7")
    assert lines[4:9] == [
        "| scenario | client | session | detected | verdict |",
        "|---|---|---|---|---|",
        "| frozen | dead | kept |  | ☑️ known failure |",
        "| killed | dead | none |  | ❌ failed |",
        "| slept | dead | kept |  | ✅ passed |",
    ]
    assert [line for line in lines if line.startswith("###")] == ["### killed"]
    # Three backticks within the text do not end the block.
    assert "````text" in lines
    assert f"  ✗ {why}" in lines
    assert lines[-4:] == ["```text", "known:   frozen (missed, #12): because it failed", "```", ""]


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_escaped_text_is_one_line_of_no_markup_that_reads_the_same(text: str) -> None:
    shown = github.escaped(text)
    assert not set(shown) & set("|`*_<>[]\n")
    assert unescape(shown).split() == text.split()
