from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.scenario import suites


def names(*wanted: str) -> list[str]:
    return [scenario.name for scenario in suites.find(list(wanted))]


def called(*wanted: str, pod: bool = True, exclude: tuple[str, ...] = ()) -> list[str]:
    return [scenario.called for scenario in suites.find(list(wanted), pod=pod, exclude=exclude)]


def qualified(*wanted: str, pod: bool) -> list[str]:
    return [f"{scenario.suite}/{scenario.name}" for scenario in suites.find(list(wanted), pod=pod)]


def test_the_pods_default_is_the_incidents_table() -> None:
    assert names() == ["active", "backpressured", "clean_close", "frozen", "paused"]


def test_the_default_for_another_server_refers_to_scenarios_of_other_suites() -> None:
    core = qualified(pod=False)
    assert core == qualified("core", pod=False)
    assert 4 <= len(core) <= 12
    assert {name.split("/")[0] for name in core} == {"dead", "alive"}
    # None of these needs sch_netem or the pod, so core runs on every machine and against every server.
    assert not [s.name for s in suites.find(["core"], pod=False) if s.netem_fields or s.needs_pod or s.edge]


def test_all_has_each_scenario_of_core_once() -> None:
    everything = qualified("all", "core", pod=True)
    assert len(everything) == len(set(everything)) == len(qualified("all", pod=True))


def test_a_bare_name_is_the_pods_table_for_the_pod_and_not_for_another_server() -> None:
    assert qualified("frozen", "clean_close", pod=True) == ["pod_5090/frozen", "pod_5090/clean_close"]
    assert qualified("frozen", "clean_close", pod=False) == ["dead/frozen", "ended/clean_close"]


@pytest.mark.parametrize("pod", [True, False])
@pytest.mark.parametrize("name", ["frozen", "core", "dead", "pod_5090", "all", "dead/frozen", "core/frozen"])
def test_a_scenario_is_called_by_a_name_that_finds_it_again_and_has_no_suite_that_was_not_named(
    name: str, pod: bool
) -> None:
    for scenario in suites.find([name], pod=pod):
        (again,) = suites.find([scenario.called], pod=pod)
        assert (again.suite, again.name) == (scenario.suite, scenario.name)
        if name != "all":
            suite, _, _ = scenario.called.rpartition("/")
            assert suite in {"", name.split("/", maxsplit=1)[0]}


def test_a_scenario_named_twice_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    shutil.copy(suites.shipped()["dead"][0], tmp_path / "mine.toml")
    assert called("mine.toml", "./mine.toml", "sub/../mine.toml", str(tmp_path / "mine.toml")) == ["mine.toml"]
    assert called("frozen", "core/frozen", "core", "dead/frozen", pod=False).count("frozen") == 1


def test_two_scenarios_that_differ_only_for_the_pod_are_one_for_another_server() -> None:
    assert qualified("pod_5090/clean_close", "ended/clean_close", pod=False) == ["pod_5090/clean_close"]
    assert qualified("pod_5090/clean_close", "ended/clean_close", pod=True) == [
        "pod_5090/clean_close",
        "ended/clean_close",
    ]
    # One of these has a new client after the reap.
    assert qualified("pod_5090/frozen", "dead/frozen", pod=False) == ["pod_5090/frozen", "dead/frozen"]
    # These share a fault, and more.
    assert qualified("dead/frozen", "dead/frozen_silent", "dead/frozen_tls", pod=False) == [
        "dead/frozen",
        "dead/frozen_silent",
        "dead/frozen_tls",
    ]


def test_what_is_excluded_is_left_out_by_scenario_suite_and_file(tmp_path: Path) -> None:
    shutil.copy(suites.shipped()["ended"][0], tmp_path / "mine.toml")
    every = called("dead", "ended", str(tmp_path))
    assert called("dead", "ended", str(tmp_path), exclude=("killed",)) == [n for n in every if n != "killed"]
    assert called("dead", "ended", str(tmp_path), exclude=("dead/killed", "ended")) == [
        name for name in called("dead", str(tmp_path)) if name != "killed"
    ]
    assert called("dead", str(tmp_path), exclude=("dead",)) == [str(tmp_path / "mine.toml")]
    assert called("ended", str(tmp_path), exclude=(str(tmp_path),)) == called("ended")
    assert called("dead", pod=False, exclude=("core",)) == [
        name for name in called("dead", pod=False) if name not in called("core", pod=False)
    ]


def test_a_bare_name_excludes_the_scenario_from_every_suite_that_was_named() -> None:
    assert "frozen" not in [s.name for s in suites.find(["pod_5090", "dead"], exclude=["frozen"])]


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ("killd", r"--exclude 'killd': is no scenario or suite of this call; did you mean 'killed'\?"),
        ("alive", "--exclude 'alive': is no scenario or suite of this call; "),
        ("dead", "--exclude 'dead': leaves nothing to run; "),
    ],
)
def test_an_exclusion_that_matches_nothing_or_everything_is_refused(exclude: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        suites.find(["dead"], exclude=[exclude])


def test_no_story_has_a_figure_that_its_scenario_does_not_set() -> None:
    """The pod's rates and the incident's bytes would be false of another server."""
    for path in [path for suite, files in suites.shipped().items() if suite != "wedge" for path in files]:
        table = tomllib.loads(path.read_text())
        own = str({key: value for key, value in table.items() if key not in {"title", "story", "pod"}})
        assert set(re.findall(r"\d+", table["story"])) <= set(re.findall(r"\d+", own)), path


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
