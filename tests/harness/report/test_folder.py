"""From a folder of results to its report, and the errors for a folder without results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from halfopen.errors import InputError
from halfopen.report import folder
from halfopen.results import comparison, record
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.done import missed
from tests.harness.report import made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    record.check_folder(tmp_path)
    record.write(tmp_path, made.HOW, [missed(), made.kept()], 1.0)
    return tmp_path


def test_what_is_made_again_is_what_was_made_at_first(out: Path) -> None:
    done = [missed(), made.kept()]
    folder.write(out, made.table(done), done)
    first = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert folder.write_again(out).read_bytes() == first


def test_a_comparison_is_made_again_too(tmp_path: Path) -> None:
    done = made.compared()
    record.check_folder(tmp_path)
    record.write_timelines(tmp_path, done)
    table = comparison.as_table(made.HOW, done, 1.0)
    record.write_table(tmp_path / "compare.json", table)
    folder.write(tmp_path, table, done)
    first = (tmp_path / "report.html").read_bytes()
    assert folder.write_again(tmp_path).read_bytes() == first


def test_a_field_of_servers_is_shown_as_a_comparison_of_them(tmp_path: Path) -> None:
    done = made.compared()
    record.write_timelines(tmp_path, done)
    servers = {name: (TargetSpec(server="serve {port}"), "1.0") for name in ("none", "bytes-acked")}
    record.write_table(tmp_path / "field.json", comparison.field_as_table(made.HOW, done, 1.0, servers))
    page = folder.write_again(tmp_path).read_text()
    assert "2 servers, grace 30s" in page
    assert 'href="#bytes-acked/frozen"' in page
    assert "is missing" not in page


def test_results_that_do_not_name_their_timelines_are_found_by_their_names(tmp_path: Path) -> None:
    done = made.compared()
    record.write_timelines(tmp_path, done)
    table = comparison.as_table(made.HOW, done, 1.0)
    for run in table["runs"]:
        del run["timeline"]
    record.write_table(tmp_path / "compare.json", table)
    assert "is missing" not in folder.write_again(tmp_path).read_text()


def test_a_missing_timeline_is_said_where_it_would_be(out: Path) -> None:
    (out / "timelines" / "frozen.jsonl").unlink()
    assert folder.write_again(out).read_text().count("timeline of this run is missing") == 1


def test_a_missing_timeline_leaves_the_mark_of_the_fault_where_it_struck(tmp_path: Path) -> None:
    record.check_folder(tmp_path)
    record.write(tmp_path, made.HOW, [made.behind_a_proxy()], 1.0)
    [file] = (tmp_path / "timelines").iterdir()
    whole = folder.write_again(tmp_path).read_text()
    file.unlink()
    [way] = re.findall(r'<p class="way".*?</p>', whole, re.DOTALL)
    assert "vanish" in way
    assert way in folder.write_again(tmp_path).read_text()


@pytest.mark.parametrize("left", ["{", '{"kind": "sample"}', "[]", "\x00"])
def test_a_broken_timeline_costs_its_own_drawing_alone(out: Path, left: str) -> None:
    file = out / "timelines" / "frozen.jsonl"
    kept = file.read_text().splitlines()[:3]
    file.write_text("\n".join([*kept, left]))
    page = folder.write_again(out).read_text()
    assert page.count("timeline of this run cannot be read (timelines/frozen.jsonl, line 4: ") == 1
    assert page.count('class="plots"') == 1


def test_a_timeline_that_may_not_be_read_is_said_too(out: Path) -> None:
    (out / "timelines" / "frozen.jsonl").unlink()
    (out / "timelines" / "frozen.jsonl").mkdir()
    said = "timeline of this run cannot be read (timelines/frozen.jsonl: is a directory), so there are no curves."
    assert said in folder.write_again(out).read_text()


def test_a_timeline_outside_of_the_folder_is_none(out: Path) -> None:
    table = json.loads((out / "results.json").read_text())
    table["runs"][0]["timeline"] = "../../../etc/passwd"
    (out / "results.json").write_text(json.dumps(table))
    assert folder.write_again(out).read_text().count("timeline of this run is missing") == 1


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("results.json", "{", "cannot be read"),
        ("results.json", "[]", "cannot be read"),
        ("results.json", "{}", "key 'grace_s' is missing"),
        ("results.json", '{"runs": [{}], "grace_s": 30}', "is missing"),
        ("results.json", '{"runs": 3, "grace_s": 30}', "key 'runs' takes a list, got 3"),
        ("results.json", '{"runs": [], "grace_s": null}', "key 'grace_s' takes a number, got None"),
        (
            "results.json",
            '{"runs": [{"scenario": "a", "verdict": "X"}], "grace_s": 30}',
            "key 'runs[0].verdict' does not know 'X'; known are failed, inconclusive, not_applicable, passed",
        ),
        ("results.json", '{"runs": [{"scenario": "a", "verdict": "odd"}], "grace_s": 30}', "'odd'"),
    ],
)
def test_what_is_broken_is_named(out: Path, file: str, content: str, said: str) -> None:
    (out / file).write_text(content)
    with pytest.raises(InputError) as error:
        folder.write_again(out)
    assert said in str(error.value)
    assert str(out / file) in str(error.value)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no results\.json, compare\.json, field\.json or grace\.json"):
        folder.write_again(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        folder.write_again(tmp_path / "nowhere")


def test_a_folder_whose_name_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: file name too long; name a folder that"):
        folder.write_again(tmp_path / ("a" * 300))


def test_a_report_that_cannot_be_written_says_what_to_do(out: Path) -> None:
    (out / "report.html").mkdir()
    with pytest.raises(InputError, match=r"cannot be written: is a directory; copy '.*' to a writable folder"):
        folder.write_again(out)


def test_another_programs_report_is_left_alone(out: Path) -> None:
    (out / "report.html").write_text("<title>coverage</title>")
    with pytest.raises(InputError, match=r"report\.html': halfopen did not write this file; move it away$"):
        folder.write_again(out)
    assert (out / "report.html").read_text() == "<title>coverage</title>"


def test_an_old_report_goes_with_the_results_it_is_of(out: Path) -> None:
    (out / "report.html").touch()
    record.check_folder(out)
    assert not (out / "report.html").exists()


def test_what_is_written_is_what_a_report_needs() -> None:
    folder.check_types(made.table([missed(), made.kept(), made.reaped(), made.behind_a_proxy()]), "results.json")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"grace_s": None}, "x: key 'grace_s' takes a number, got None"),
        ({"runs": None}, "x: key 'runs' takes a list, got None"),
        ({"runs": [{"verdict": "passed"}]}, "x: key 'runs[0].scenario' is missing"),
        (
            {"runs": [{"scenario": "a", "verdict": "pass"}]},
            "x: key 'runs[0].verdict' does not know 'pass'; did you mean",
        ),
        (
            {"runs": [{"scenario": "a", "verdict": "passed", "onset_s": "1"}]},
            "x: key 'runs[0].onset_s' takes a number, got '1'",
        ),
    ],
)
def test_what_is_of_the_wrong_type_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        folder.check_types(made.table([made.kept()]) | changed, "x")
    assert str(error.value).startswith(said)
