"""The action: every input is used and none is pasted into a script, its calls are understood, and it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from halfopen.errors import InputError
from halfopen.results.baseline import parse
from tests.harness.cli.tool import results
from tests.harness.cli.understood import calls, understand
from tests.machine import needs_guest

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_INPUT = re.compile(r"\binputs\.([a-z_]+)")


@pytest.fixture(scope="session")
def action(repository: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((repository / "action.yml").read_text())
    return loaded


def steps(action: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = action["runs"]["steps"]
    return found


def test_every_input_is_used_and_every_one_used_is_an_input(action: dict[str, Any]) -> None:
    assert set(_INPUT.findall(yaml.safe_dump(action["runs"]))) == set(action["inputs"])


def test_no_input_is_pasted_into_a_script(action: dict[str, Any]) -> None:
    assert not [step["name"] for step in steps(action) if _EXPRESSION.search(step.get("run", ""))]


def test_every_step_that_is_referred_to_is_one(action: dict[str, Any]) -> None:
    referred = set(re.findall(r"\bsteps\.([a-z]+)\.", yaml.safe_dump(action)))
    assert referred == {step["id"] for step in steps(action) if "id" in step}


def test_every_script_names_its_shell_and_is_one(action: dict[str, Any]) -> None:
    for step in steps(action):
        if "run" in step:
            assert step["shell"] == "bash"
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_what_it_calls_by_name_is_understood(action: dict[str, Any]) -> None:
    scripts = "\n".join(step.get("run", "") for step in steps(action))
    found = re.findall(r'bin/halfopen" ([a-z]+(?: [a-z]+)?)', scripts)
    assert sorted(found) == ["doctor", "kernel build", "kernel key", "run"]
    for words in found:
        understand(words.split())


def filled_in(text: str, inputs: dict[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: inputs[found[1].strip().removeprefix("inputs.")], text)


def as_github(action: dict[str, Any], place: Path, program: str, **given: str) -> tuple[int, dict[str, str]]:
    """Run the step that runs the scenarios, as GitHub would. Return its exit code and outputs."""
    inputs = {name: str(its["default"]) for name, its in action["inputs"].items()} | given
    (step,) = (step for step in steps(action) if step.get("id") == "run")
    (place / "halfopen" / "bin").mkdir(parents=True)
    tool = place / "halfopen" / "bin" / "halfopen"
    tool.write_text(program)
    tool.chmod(0o755)
    outputs = place / "outputs"
    there = {name: filled_in(value, inputs) for name, value in step["env"].items()}
    there |= {"RUNNER_TEMP": str(place), "GITHUB_OUTPUT": str(outputs)}
    script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(script, env=os.environ | there, cwd=place, check=False)
    return done.returncode, dict(line.split("=", 1) for line in outputs.read_text().splitlines())


#: Replaces halfopen, and records its arguments.
WRITES_DOWN = "#!/bin/sh\nprintf '%s\\n' \"$@\" >words\n"


def test_inputs_become_options_word_for_word(action: dict[str, Any], tmp_path: Path) -> None:
    given = {
        "server": "serve --on {port} 'a b' $HOME",
        "scenarios": "dead\n alive/*  \n",
        "shard": "2/4",
        "baseline": "known failures.toml",
        "grace": "10s",
        "options": '--send \'{"token": "a b"}\' --hold 5s',
    }
    code, outputs = as_github(action, tmp_path, WRITES_DOWN, **given)
    words = (tmp_path / "words").read_text().splitlines()
    assert code == 0
    assert words == [
        "run", "dead", "alive/*", "--server", given["server"], "--grace", "10s", "--shard", "2/4",
        "--baseline", "known failures.toml", "--send", '{"token": "a b"}', "--hold", "5s",
        "--clock", "auto", "--out", "halfopen-out",
    ]  # fmt: skip
    understand(words)
    assert outputs == {
        "results": "halfopen-out/results.json",
        "junit": "halfopen-out/junit.xml",
        "artifact": "halfopen-2-of-4",
    }


def test_options_that_are_no_words_fail_and_are_not_left_out(action: dict[str, Any], tmp_path: Path) -> None:
    code, _ = as_github(action, tmp_path, WRITES_DOWN, options="--send 'unbalanced")
    assert code != 0
    assert not (tmp_path / "words").exists()


@needs_guest
def test_it_runs_and_its_exit_code_is_the_calls(action: dict[str, Any], tmp_path: Path, repository: Path) -> None:
    server = repository / "tests" / "planted" / "server.py"
    given = {
        "server": f"{sys.executable} {server} {{host}} {{port}} keep 999",
        "scenarios": "frozen",
        "clock": "virtual",
    }
    program = f'#!/bin/sh\nexec "{sys.executable}" -m halfopen "$@"\n'
    code, outputs = as_github(action, tmp_path, program, **given)
    assert code == 1
    assert results(tmp_path / outputs["results"].removesuffix("results.json"))["runs"][0]["class"] == "missed"
    assert (tmp_path / outputs["junit"]).exists()


def documented(repository: Path) -> list[dict[str, Any]]:
    """Return the workflows of the documents. A single step, as in the README, becomes a job."""
    texts = "".join((repository / name).read_text() for name in ("docs/ci.md", "README.md"))
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", texts, re.DOTALL)]
    return [{"jobs": {"": {"steps": block}}} if isinstance(block, list) else block for block in blocks]


def scripts(value: Any) -> list[str]:
    """Return everything that a workflow runs in a shell."""
    if isinstance(value, list):
        return [script for item in value for script in scripts(item)]
    if not isinstance(value, dict):
        return []
    found: list[str] = []
    for key, item in value.items():
        own = key in {"run", "script", "before_script"}
        found += [item] if own and isinstance(item, str) else item if own else scripts(item)
    return found


def test_every_call_in_the_documented_workflows_is_understood(repository: Path) -> None:
    found = [words for block in documented(repository) for script in scripts(block) for words in calls(script)]
    assert len([words for words in found if words[0] == "run"]) >= 2
    for words in found:
        understand(words)


def test_what_the_documented_workflows_give_the_action_are_inputs(repository: Path, action: dict[str, Any]) -> None:
    text = yaml.safe_dump(documented(repository))
    used = [
        step["with"]
        for block in documented(repository)
        for job in block.get("jobs", {}).values()
        for step in job["steps"]
        if step.get("uses", "").startswith("halfopen/halfopen@")
    ]
    assert len(used) == 3
    for given in used:
        assert set(given) <= set(action["inputs"])
    assert "parallel" in text


def test_the_documented_baseline_is_one(repository: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (repository / "docs" / "ci.md").read_text(), re.DOTALL)
    known = parse(block, "docs/ci.md")
    assert len(known.known) == 2
    assert not known.strays


def test_a_call_that_is_not_understood_is_told_from_one_that_is() -> None:
    understand(["run", "--shard", "1/2"])
    for words in (["run", "--shard", "3/2"], ["run", "--shrd", "1/2"], ["walk"], ["kernel", "bild"]):
        with pytest.raises((typer.TyperException, InputError)):
            understand(words)
