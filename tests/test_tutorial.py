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


def blocks(repository: Path, language: str) -> list[str]:
    found: list[str] = re.findall(
        rf"```{language}\n(.*?)```", (repository / "docs" / "tutorial.md").read_text(), re.DOTALL
    )
    return found


@needs_guest
@pytest.mark.parametrize(("version", "code", "class_"), [(0, 1, "missed"), (1, 0, "true_reap")])
def test_the_server_fails_and_its_fix_passes(
    repository: Path, tmp_path: Path, version: int, code: int, class_: str
) -> None:
    (tmp_path / "my_server.py").write_text(blocks(repository, "python")[version])
    server = f"{sys.executable} my_server.py --host {{host}} --port {{port}}"
    done = halfopen("run", "frozen", "paused", "--server", server, "--clock", "virtual", "--out", "out", cwd=tmp_path)
    assert done.code == code, done
    runs = by_scenario(tmp_path / "out")
    assert runs["frozen"]["class"] == class_
    assert runs["paused"]["class"] == "true_keep"


def test_the_test_is_the_one_that_is_tested(repository: Path) -> None:
    assert blocks(repository, "python")[2] == EXAMPLE.lstrip()


def test_every_command_is_understood(repository: Path) -> None:
    lines = [line[2:] for block in blocks(repository, "console") for line in block.splitlines() if line[:2] == "$ "]
    found = list(calls("\n".join(lines)))
    assert len(found) >= 5
    for words in found:
        understand(words)


def test_the_workflow_gives_the_action_inputs_that_it_has(repository: Path) -> None:
    (block,) = blocks(repository, "yaml")
    (given,) = [step["with"] for step in yaml.safe_load(block)["jobs"]["halfopen"]["steps"] if "with" in step]
    action = yaml.safe_load((repository / "action.yml").read_text())
    assert set(given) <= set(action["inputs"])
    understand(["run", *given["scenarios"].split(), "--server", given["server"]])


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
