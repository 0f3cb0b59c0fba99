from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.scenario import suites


def names(*wanted: str) -> list[str]:
    return [scenario.name for scenario in suites.find(list(wanted))]


def test_the_default_is_the_incidents_table() -> None:
    assert names() == ["active", "backpressured", "clean_close", "frozen", "paused"]


def test_every_scenario_that_comes_with_the_project_is_well_formed() -> None:
    assert set(names("all")) > set(names())


def test_a_name_a_suite_and_a_qualified_name_find_the_same_file_once() -> None:
    assert names("frozen", "pod_5090/frozen", "pod_5090") == [
        "frozen",
        "active",
        "backpressured",
        "clean_close",
        "paused",
    ]


def test_a_file_and_a_folder_of_files_are_found(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "sleepy.toml"
    mine.parent.mkdir()
    shutil.copy(suites.shipped()["pod_5090"][0], mine)

    assert names(str(mine)) == ["sleepy"]
    assert names(str(tmp_path)) == ["sleepy"]


def test_the_wedge_is_a_suite_of_its_own() -> None:
    assert names("wedge") == ["wedge"]
    assert "wedge" not in names("pod_5090")


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(
        InputError, match="no scenario, suite, file or folder is called 'frozne'; did you mean 'frozen'"
    ):
        suites.find(["frozne"])


def test_a_folder_without_scenarios_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no scenario file"):
        suites.find([str(tmp_path)])
