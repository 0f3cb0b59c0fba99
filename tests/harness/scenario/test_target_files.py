"""Search for target files, and the versions of their servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.scenario import target_files
from halfopen.scenario.target_spec import TargetSpec
from tests.servers import EXAMPLES

TARGET = '[target]\nserver = "serve {host} {port}"\n'


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_a_folder_is_searched_for_files_with_a_target(tmp_path: Path) -> None:
    write(tmp_path, b__default=TARGET, a__default=TARGET, a__other="[tool]\n", node_modules__x=TARGET)
    assert [spec.name for spec in target_files.find([tmp_path])] == ["a/default", "b/default"]


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    write(tmp_path, a__one=TARGET, a__two=TARGET)
    assert [spec.name for spec in target_files.find([tmp_path / "a" / "two.toml"])] == ["a/two"]


@pytest.mark.parametrize(
    ("files", "paths", "words"),
    [
        ({}, [], "no target file given; .* such as examples/"),
        ({"x": "[tool]\n"}, ["."], r"no file in this folder has a \[target\] table"),
        ({"a__x": TARGET, "b__a__x": TARGET}, ["."], "two servers would both be called 'a/x'"),
        ({"x": "[target\n"}, ["."], "not TOML"),
        ({"x": '[target]\nserver = "x"\nedge = "squid"\n'}, ["."], "squid"),
        ({}, ["y.toml"], "no such target file"),
    ],
)
def test_what_describes_no_server_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, str], paths: list[str], words: str
) -> None:
    write(tmp_path, **files)
    with pytest.raises(InputError, match=words):
        target_files.find([tmp_path / path for path in paths])


def spec(tmp_path: Path, versions: str | None) -> TargetSpec:
    return TargetSpec(server="x", versions=versions, environment={"OF": "theirs"}, file=str(tmp_path / "x.toml"))


def test_versions_are_what_the_command_prints_beside_the_file_in_its_environment(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    assert target_files.versions(spec(tmp_path, "sh -c 'ls; echo $OF'")) == "here theirs"
    assert target_files.versions(spec(tmp_path, None)) == ""


@pytest.mark.parametrize(
    ("command", "why"), [("sh -c 'echo why >&2; exit 3'", "why"), ("no-such-program", "No such file"), ("false", "1")]
)
def test_versions_that_cannot_be_had_are_an_error_that_names_the_file(tmp_path: Path, command: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"x\.toml: the command of key 'target\.versions' failed: .*{why}"):
        target_files.versions(spec(tmp_path, command))


def test_every_example_is_a_target_that_says_its_title_versions_and_stacks() -> None:
    found = target_files.find([EXAMPLES])
    assert len(found) >= 19
    assert [one.name for one in found if not (one.title and one.versions and one.stacks)] == []
