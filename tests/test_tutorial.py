"""docs/tutorial.md: its server fails, its fix passes, its test is the tested one, and its commands can be called."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.harness.cli.tool import by_scenario, halfopen
from tests.harness.cli.understood import calls, understand
from tests.harness.testing.users import EXAMPLE
from tests.machine import needs_guest


def blocks(repository: Path, language: str, page: str = "docs/tutorial.md") -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", (repository / page).read_text(), re.DOTALL)
    return found


@needs_guest
@pytest.mark.parametrize(("version", "failed"), [(0, {"frozen", "vanished", "trickle_silent"}), (1, set())])
def test_the_server_fails_and_its_fix_passes(repository: Path, tmp_path: Path, version: int, failed: set[str]) -> None:
    (tmp_path / "my_server.py").write_text(blocks(repository, "python")[version])
    server = f"{sys.executable} my_server.py --host {{host}} --port {{port}}"
    done = halfopen("run", "--server", server, "--clock", "virtual", "--out", "out", cwd=tmp_path)
    assert done.code == bool(failed), done
    runs = by_scenario(tmp_path / "out")
    assert {name for name, run in runs.items() if run["verdict"] == "failed"} == failed
    assert [name for name, run in runs.items() if run["verdict"] == "not_applicable"] == ["frozen_silent"]
    text = (repository / "docs" / "tutorial.md").read_text()
    for name in failed:
        assert re.search(rf"^{name} .*✗ failed$", text, re.MULTILINE), name


def test_the_test_is_the_one_that_is_tested(repository: Path) -> None:
    assert blocks(repository, "python")[2] == EXAMPLE.lstrip()


@pytest.mark.parametrize(
    ("page", "least"), [("README.md", 4), ("docs/tutorial.md", 8), ("docs/run.md", 3), ("docs/targets.md", 4)]
)
def test_every_command_is_understood(repository: Path, page: str, least: int) -> None:
    blocks_of = blocks(repository, "console", page)
    lines = [line[2:] for block in blocks_of for line in block.splitlines() if line[:2] == "$ "]
    found = list(calls("\n".join(line.removeprefix("sudo ") for line in lines)))
    assert len(found) >= least
    for words in found:
        understand(words)


def test_the_workflow_gives_the_action_inputs_that_it_has(repository: Path) -> None:
    (block,) = blocks(repository, "yaml")
    (given,) = [step["with"] for step in yaml.safe_load(block)["jobs"]["halfopen"]["steps"] if "with" in step]
    action = yaml.safe_load((repository / "action.yml").read_text())
    assert set(given) <= set(action["inputs"])
    understand(["run", "--target", given["target"], "--grace", given["grace"]])


def test_every_page_is_in_the_index(repository: Path) -> None:
    docs = repository / "docs"
    listed = set(re.findall(r"^- .*?\]\((\w[\w-]*\.md)\)", (docs / "README.md").read_text(), re.MULTILINE))
    assert listed == {page.name for page in docs.glob("*.md")} - {"README.md"}


def test_every_link_of_the_documents_leads_to_a_file_and_a_heading(repository: Path) -> None:
    pages = [repository / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    for page in [*pages, *(repository / "docs").glob("*.md")]:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in anchors(target), (page.name, link)


def anchors(page: Path) -> set[str]:
    """The fragments under which GitHub shows the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
