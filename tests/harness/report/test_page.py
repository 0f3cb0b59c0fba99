"""The page: all words in it, no user text taken for markup, and small."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from halfopen.cli import screen
from halfopen.report import page as pages
from halfopen.report.entries import Entry, entry, runs_of
from halfopen.report.page import Lost, render
from halfopen.report.parts import scripts
from halfopen.results import comparison, fixes, words
from tests.harness.done import missed
from tests.harness.report import made

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'"

LOST = Lost("is missing")


class Elements(HTMLParser):
    """Collects the tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def labels(page: str) -> list[str]:
    return re.findall(r'<span class="label">([^<]*)</span>', page)


def test_every_word_of_a_run_is_in_the_page_itself() -> None:
    page = html.unescape(made.page([missed()])).replace("<span>", "").replace("</span>", "")
    (run,) = made.table([missed()])["runs"]
    for text in (*run["deeds"], *run["kernel_saw"], run["story"], run["expectation"], run["why"], run["again"]):
        assert text in page


EXPLAINED = {
    "ended": "by a FIN of the server at 60.1s",
    "cause": "nginx ended the session",
    "held_by": ["python (pid 50): python my_server.py"],
    "threads": ["thread 62 (stream): in sendall"],
    "server_said": ["Traceback (most recent call last):", "KeyError: 'room'"],
    "proxy_said": {"nginx": ["upstream timed out"]},
}


def test_an_explanation_is_in_the_page_with_the_output_of_each_program() -> None:
    clean = made.table([missed()])
    page = html.unescape(render(clean | {"runs": [clean["runs"][0] | EXPLAINED]}, lambda _run: LOST))
    for text in ("by a FIN of the server at 60.1s", "nginx ended the session", *EXPLAINED["held_by"]):
        assert f"<dd>{text}</dd>" in page
    for head in ("threads of the holder", "server said", "nginx said"):
        assert f"<summary>{head}</summary>" in page
    assert "Traceback (most recent call last):\nKeyError: 'room'" in page


@pytest.mark.parametrize("key", ["held_by", "threads", "server_said"])
def test_no_output_of_a_program_is_taken_for_markup(key: str) -> None:
    clean = made.table([made.reaped()])
    for more in ({key: [EVIL]}, {"proxy_said": {EVIL: [EVIL]}}):
        evil = clean | {"runs": [clean["runs"][0] | more], "detectors": {}}
        assert "img" not in [tag for tag, _ in Elements(render(evil, lambda _run: LOST)).tags]


def test_what_went_wrong_comes_first_and_is_open() -> None:
    page = made.page([made.kept(), missed()])
    assert labels(page) == ["frozen", "active"]
    opened = {attributes["id"] for tag, attributes in Elements(page).tags if tag == "details" and "open" in attributes}
    assert opened == {"frozen"}


def test_a_table_of_runs_keeps_their_order() -> None:
    page = made.page([made.kept(), missed()])
    assert re.findall(r'<tr data-run="([^"]*)">', page) == ["active", "frozen"]


@pytest.mark.parametrize(
    "key", ["label", "why", "story", "again", "client", "reason", "scenario", "detector", "ended", "cause"]
)
def test_nothing_that_a_run_says_is_taken_for_markup(key: str) -> None:
    clean = made.table([made.reaped()])
    evil = clean | {"runs": [clean["runs"][0] | {key: EVIL}], "detectors": {}}
    tags = [tag for tag, _ in Elements(render(evil, lambda _run: LOST)).tags]
    assert tags.count("script") == len(scripts("assets/report.js"))
    assert "img" not in tags


def test_nothing_that_the_call_says_is_taken_for_markup() -> None:
    evil = made.table([missed()]) | {"target": {"kind": "command", "command": EVIL}, "kernel": EVIL}
    tags = [tag for tag, _ in Elements(render(evil, lambda _run: LOST)).tags]
    assert tags.count("script") == len(scripts("assets/report.js"))
    assert "img" not in tags


def test_nothing_is_fetched_from_anywhere() -> None:
    for tag, attributes in Elements(made.page([missed()])).tags:
        assert tag not in {"img", "iframe", "object", "embed"}
        assert "src" not in attributes
        # A link is followed by its reader only.
        leads_to = ("#", fixes.FOLDER) if tag == "a" else ("#", "data:,")
        assert (attributes.get("href") or "#").startswith(leads_to)


def test_a_failure_links_to_the_page_of_its_fix() -> None:
    links = [attributes.get("href") for tag, attributes in Elements(made.page([missed()])).tags if tag == "a"]
    assert f"{fixes.INDEX}#held-too-long" in links


def test_no_two_elements_share_an_id() -> None:
    ids = [
        attributes["id"] for _, attributes in Elements(made.comparison_page(made.compared())).tags if "id" in attributes
    ]
    assert len(ids) == len(set(ids))


def test_a_scenario_may_be_called_like_a_part_of_the_page() -> None:
    table = made.table([missed()])
    for name in ("filter", ":filter", "runs"):
        page = render(table | {"runs": [table["runs"][0] | {"label": name}]}, lambda _run: LOST)
        ids = [attributes["id"] for _, attributes in Elements(page).tags if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_what_was_left_out_is_counted_and_listed_with_the_command_that_helps() -> None:
    left_out = {"scenario": "satellite", "suite": "alive", "why": "needs netem <b>", "remedy": "halfopen kernel build"}
    table = made.table([missed()]) | {"left_out": [left_out]}
    page = render(table, lambda _: LOST)
    assert "<summary>1 left out</summary>" in page
    assert "<li>left out: alive/satellite (needs netem &lt;b&gt;; to run it: halfopen kernel build)</li>" in page
    assert "<li>to run 1 of those left out: halfopen kernel build</li>" in page
    assert "left out</summary>" not in render(made.table([missed()]), lambda _: LOST)


def test_a_run_whose_timeline_is_missing_is_shown_all_the_same() -> None:
    page = render(made.table([missed()]), lambda _run: LOST)
    assert "timeline of this run is missing" in page
    assert "session still held" in page


def test_the_same_runs_give_the_same_page() -> None:
    assert made.page([missed(), made.reaped()]) == made.page([missed(), made.reaped()])


def test_no_runs_are_a_page_too() -> None:
    assert "There are no runs." in made.page([])


def test_a_comparison_links_every_cell_to_its_run() -> None:
    tags = Elements(made.comparison_page(made.compared())).tags
    ids = {attributes.get("id") for tag, attributes in tags if tag == "details"}
    linked = {
        (attributes.get("href") or "").lstrip("#") for tag, attributes in tags if tag == "a" and "title" in attributes
    }
    assert linked == ids == {"none/frozen", "none/active", "bytes-acked/frozen", "bytes-acked/active"}


def test_a_run_more_costs_a_few_kilobytes() -> None:
    few, many = ([made.reaped(candidate=f"d{n}", detector=f"d{n}") for n in range(count)] for count in (20, 30))
    each = (len(made.comparison_page(many)) - len(made.comparison_page(few))) / 10
    assert each < 3e6 / 500


def entries(table: dict[str, Any]) -> list[Entry]:
    return [entry(run, 30, ()) for run in runs_of(table)]


def test_the_headline_is_the_terminals() -> None:
    assert words.headline(made.table([missed()])) == screen.header(made.HOW)


def test_the_headline_of_a_comparison_is_the_terminals() -> None:
    table = comparison.as_table(made.HOW, made.compared(), 1.0)
    against = pages.compared(entries(table))
    assert words.headline(table, against) == screen.header(made.HOW, compared="2 detectors against 2 scenarios")


def test_the_grid_has_a_row_for_each_and_a_column_for_each_scenario() -> None:
    (block,) = pages.blocks(entries(comparison.as_table(made.HOW, made.compared(), 1.0)))
    assert block.scenarios == ("frozen", "active")
    assert [(who, [cell and cell[0] for cell in row]) for who, row in block.rows] == [
        ("none", ["M", "k"]),
        ("bytes-acked", ["31", "k"]),
    ]


def test_counts_are_of_what_there_is_the_worst_first() -> None:
    counted = pages.counts(entries(made.table([made.kept(), missed(), made.kept()])))
    assert [number_and_words for _, _, *number_and_words in counted] == [[1, "failed"], [2, "passed"]]
