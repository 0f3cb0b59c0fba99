"""``halfopen field`` as a command: input that it refuses, and the report of earlier results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.cli.tool import halfopen
from tests.servers import EXAMPLES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no target file given; name target files, or folders of them, such as examples/"),
        (["nowhere.toml"], "no such target file: nowhere.toml"),
        (["."], ".: no file in this folder has a [target] table; see docs/targets.md"),
        (["--render", "nowhere.json"], "--render 'nowhere.json': cannot be read as field.json"),
        (["--render", "x.json", "."], "--render: runs nothing, so it takes no target files; leave one of them out"),
        (
            ["--render", "x.json"],
            "--render 'x.json': has no targets and runs; name a field.json that 'halfopen field' wrote",
        ),
        (
            ["--render", "y.json"],
            "--render 'y.json': the key 'verdict' is missing; write it again with 'halfopen field'",
        ),
        (["server.toml", "--scenario", "nope"], "nope"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_and_nothing_is_started(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "y.json").write_text('{"targets": [], "runs": [{}]}')
    if "." not in arguments:
        (tmp_path / "server.toml").write_text('[target]\nserver = "touch started"\n')
    ran = halfopen("field", *arguments, cwd=tmp_path)
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "started").exists()


def test_the_report_that_is_committed_is_what_the_renderer_makes_and_says_how() -> None:
    """Compare its first lines and its table. The rest comes from results too long to keep."""
    report = (EXAMPLES.parent / "docs" / "field-report.md").read_text()
    assert "Made by `make field-report` from results; not to be edited." in report
    for target in EXAMPLES.rglob("*.toml"):
        assert f"| `{target.parent.name}/{target.stem}` |" in report
