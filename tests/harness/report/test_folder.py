"""From a folder of results to its report, and what is said of a folder that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import compare, field, results
from harness.errors import InputError
from harness.report import folder
from harness.target_spec import TargetSpec
from tests.harness.done import missed
from tests.harness.report import made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    results.check_folder(tmp_path)
    results.write(tmp_path, made.HOW, [missed(), made.kept()], 1.0)
    return tmp_path


def test_what_is_made_again_is_what_was_made_at_first(out: Path) -> None:
    done = [missed(), made.kept()]
    first = folder.write(out, made.table(done), done).read_bytes()
    (out / "report.html").unlink()
    assert folder.write_again(out).read_bytes() == first


def test_a_comparison_is_made_again_too(tmp_path: Path) -> None:
    done = made.compared()
    results.check_folder(tmp_path)
    results.write_timelines(tmp_path, done)
    table = compare.as_table(made.HOW, done, 1.0)
    results.write_table(tmp_path / "compare.json", table)
    first = folder.write(tmp_path, table, done).read_bytes()
    assert folder.write_again(tmp_path).read_bytes() == first


def test_a_field_of_servers_is_shown_as_a_comparison_of_them(tmp_path: Path) -> None:
    done = made.compared()
    results.write_timelines(tmp_path, done)
    servers = {name: (TargetSpec(server="serve {port}"), "1.0") for name in ("none", "bytes-acked")}
    results.write_table(tmp_path / "field.json", field.as_table(made.HOW, done, 1.0, servers, ()))
    page = folder.write_again(tmp_path).read_text()
    assert "2 servers, grace 30s" in page
    assert 'href="#bytes-acked/frozen"' in page
    assert "is missing" not in page


def test_results_that_do_not_name_their_timelines_are_found_by_their_names(tmp_path: Path) -> None:
    done = made.compared()
    results.write_timelines(tmp_path, done)
    table = compare.as_table(made.HOW, done, 1.0)
    for run in table["runs"]:
        del run["timeline"]
    results.write_table(tmp_path / "compare.json", table)
    assert "is missing" not in folder.write_again(tmp_path).read_text()


def test_a_missing_timeline_is_said_where_it_would_be(out: Path) -> None:
    (out / "timelines" / "frozen.jsonl").unlink()
    assert folder.write_again(out).read_text().count("timeline of this run is missing") == 1


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
        ("results.json", "{}", "the key 'runs' is missing"),
        ("results.json", '{"runs": [{}], "grace_s": 30}', "is missing"),
        ("results.json", '{"runs": 3, "grace_s": 30}', "not as it is written"),
        ("results.json", '{"runs": [{"scenario": "a", "verdict": "odd"}], "grace_s": 30}', "'odd'"),
        ("timelines/frozen.jsonl", "{", "no timeline can be read there"),
        ("timelines/frozen.jsonl", '{"kind": "sample"}', "no timeline can be read there"),
        ("timelines/frozen.jsonl", "[]", "no timeline can be read there"),
    ],
)
def test_what_is_broken_is_named(out: Path, file: str, content: str, said: str) -> None:
    (out / file).write_text(content)
    with pytest.raises(InputError) as error:
        folder.write_again(out)
    assert said in str(error.value)
    assert str(out / file) in str(error.value)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no results\.json, no compare\.json and no grace\.json"):
        folder.write_again(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        folder.write_again(tmp_path / "nowhere")


def test_an_old_report_goes_with_the_results_it_is_of(out: Path) -> None:
    (out / "report.html").touch()
    results.check_folder(out)
    assert not (out / "report.html").exists()
