"""``halfopen init``: its files work as they are, say the user's command, and replace nothing."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import halfopen as package
from halfopen.cli import init
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.cli.tool import Ran, by_scenario, called, halfopen, results
from tests.harness.cli.understood import understand
from tests.machine import needs_guest

CORRECT = Path(__file__).parents[2] / "correct" / "pinging.py"
SERVER = f"{sys.executable} my_server.py {{host}} {{port}} quiet"
FILES = ["halfopen.toml", "test_liveness.py", ".github/workflows/liveness.yml"]
FULL = TargetSpec(
    server='python "my server.py" {host} {port}',
    path="/a?b='c'",
    subprotocols=("one", "two"),
    headers={"X-Token": 'a "quoted" \\ word'},
    send=('{"token": "t\u00e4"}', "line\nbreak"),
    sessions="/sessions",
    sessions_pointer="/data",
    sessions_field="peer",
    environment={"LOG.LEVEL": "debug"},
)


PLAIN = TargetSpec(server=SERVER)


def write(here: Path, spec: TargetSpec = PLAIN, grace: int = 20) -> list[str]:
    return list(init.written(spec, here, grace, ["profile: streams"]))


def step_of(workflow: Path) -> dict[str, object]:
    (step,) = (s for s in yaml.safe_load(workflow.read_text())["jobs"]["halfopen"]["steps"] if "with" in s)
    found: dict[str, object] = step
    return found


@pytest.mark.parametrize("spec", [PLAIN, FULL])
def test_the_target_file_describes_the_same_server_again(spec: TargetSpec, tmp_path: Path) -> None:
    write(tmp_path, spec)
    read = target_spec.load(tmp_path / "halfopen.toml")
    assert read.grace == "20s"
    assert msgspec.structs.replace(read, file=None, grace=None) == spec


@given(st.dictionaries(st.text(min_size=1), st.text()), st.lists(st.text()))
def test_every_text_is_the_same_when_it_is_read_again(environment: dict[str, str], send: list[str]) -> None:
    spec = TargetSpec(server="serve", environment=environment, send=tuple(send))
    table = tomllib.loads(init.target_text(spec, []))["target"]
    assert table.get("environment", {}) == environment
    assert table.get("send", []) == send


def test_the_test_gives_the_server_all_its_settings(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    served: list[tuple[str, dict[str, object]]] = []

    class Lab:
        def serve(self, command: str, **settings: object) -> None:
            served.append((command, settings))
            raise StopIteration

        def connect(self, *_: object, **__: object) -> None: ...

    names: dict[str, object] = {}
    exec((tmp_path / "test_liveness.py").read_text(), names)
    for name in [name for name in names if name.startswith("test_")]:
        with pytest.raises(StopIteration):
            names[name](Lab())  # type: ignore[operator]
    assert len(served) == 2
    for command, settings in served:
        assert msgspec.convert({"server": command} | settings, TargetSpec) == FULL


def test_the_workflow_gives_the_action_inputs_that_it_has(repository: Path, tmp_path: Path) -> None:
    write(tmp_path, FULL, grace=35)
    step = step_of(tmp_path / FILES[2])
    action = yaml.safe_load((repository / "action.yml").read_text())
    assert step["uses"] == f"halfopen/halfopen@v{package.__version__}"
    assert FULL.server is not None
    assert FULL.server in str(step["name"])
    assert step["with"] == {"target": "halfopen.toml"}
    assert set(step["with"]) <= set(action["inputs"])
    understand(["run", "--target", "halfopen.toml"])
    assert target_spec.load(tmp_path / "halfopen.toml").grace == "35s"


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("requirements.txt", "pip install -r requirements.txt"),
        ("pyproject.toml", "pip install ."),
        ("package-lock.json", "npm ci"),
        (None, None),
    ],
)
def test_the_workflow_installs_what_the_project_needs(file: str | None, command: str | None, tmp_path: Path) -> None:
    if file is not None:
        (tmp_path / file).touch()
    write(tmp_path)
    runs = [
        s["run"] for s in yaml.safe_load((tmp_path / FILES[2]).read_text())["jobs"]["halfopen"]["steps"] if "run" in s
    ]
    assert runs == ([] if command is None else [command])


def test_in_a_folder_of_a_repository_the_workflow_is_at_its_top_and_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    here = tmp_path / "back end"
    here.mkdir()
    (here / "requirements.txt").touch()
    write(here)
    assert sorted(path.name for path in here.iterdir()) == ["halfopen.toml", "requirements.txt", "test_liveness.py"]
    workflow = tmp_path / FILES[2]
    assert step_of(workflow)["with"] == {"target": "back end/halfopen.toml"}
    (install,) = (s for s in yaml.safe_load(workflow.read_text())["jobs"]["halfopen"]["steps"] if "run" in s)
    assert install["working-directory"] == "back end"


def test_what_exists_is_kept_and_named(tmp_path: Path) -> None:
    (tmp_path / FILES[1]).write_text("mine")
    lines = write(tmp_path)
    assert (tmp_path / FILES[1]).read_text() == "mine"
    assert [line.split(",")[0].split(" (")[0] for line in lines] == [
        "wrote: halfopen.toml",
        "kept:  test_liveness.py",
        "wrote: .github/workflows/liveness.yml",
    ]


def test_without_pytest_it_names_the_extra_that_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = "pytest test_liveness.py --halfopen-clock auto"
    assert f"(a pytest test; {command})" in write(tmp_path / "with")[1]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert f"(a pytest test; pip install 'halfopen[pytest]', then {command})" in write(tmp_path / "without")[1]


def test_where_all_exists_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = called("init", "--server", "no-such-program {port}")
    assert ran.code == 2
    assert ran.err.startswith("halfopen: halfopen.toml, test_liveness.py and .github/workflows/liveness.yml: are there")


def test_without_a_server_it_says_how_to_name_one() -> None:
    assert called("init").err == (
        "halfopen: --server: missing; name your server, as in --server 'python app.py --port {port}'\n"
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """Return a project in which init was run, and its output. Run only where guests are."""
    here = tmp_path_factory.mktemp("project")
    shutil.copy(CORRECT, here / "my_server.py")
    return here, halfopen("init", "--server", SERVER, "--clock", "virtual", cwd=here)


@needs_guest
def test_it_lists_what_it_wrote_and_the_next_command(project: tuple[Path, Ran]) -> None:
    here, ran = project
    assert ran.code == 0, ran
    wrote = [line.split()[1] for line in ran.out.splitlines() if line.startswith("wrote:")]
    assert wrote == FILES
    assert all((here / file).exists() for file in FILES)
    assert sorted(path.name for path in here.iterdir()) == sorted([".github", "my_server.py", *FILES[:2]])
    assert ran.out.splitlines()[-1] == "next:  halfopen run --target halfopen.toml"


@needs_guest
def test_the_next_command_is_green_for_a_correct_server(project: tuple[Path, Ran], tmp_path: Path) -> None:
    here, ran = project
    call = ran.out.splitlines()[-1].split()[2:]
    done = halfopen(*call, "--clock", "virtual", "--out", str(tmp_path), cwd=here)
    assert done.code == 0, done
    assert results(tmp_path)["target"]["command"] == SERVER
    assert results(tmp_path)["grace_s"] == 25
    assert by_scenario(tmp_path)["frozen"]["class"] == "true_reap"


@needs_guest
def test_the_written_test_is_green_for_a_correct_server(project: tuple[Path, Ran]) -> None:
    assert pytest_in(project[0], project[0] / FILES[1]) == {"passed": 2}


@needs_guest
def test_the_written_test_is_red_for_a_server_without_a_watchdog(tmp_path: Path) -> None:
    shutil.copy(CORRECT, tmp_path / "my_server.py")
    write(tmp_path, TargetSpec(server=f"{SERVER} none"), grace=10)
    assert pytest_in(tmp_path, tmp_path / FILES[1]) == {"failed": 1, "passed": 1}


@needs_guest
def test_for_a_server_that_lets_nobody_in_nothing_is_written(tmp_path: Path) -> None:
    shutil.copy(CORRECT, tmp_path / "my_server.py")
    header = ("--header", "Sec-WebSocket-Version: 7")
    ran = halfopen("init", "--server", SERVER, *header, "--clock", "virtual", cwd=tmp_path)
    assert ran.code == 1, ran
    assert "no session could be opened" in ran.out
    assert "nothing is written" in ran.out
    assert [path.name for path in tmp_path.iterdir()] == ["my_server.py"]


def pytest_in(folder: Path, file: Path) -> dict[str, int]:
    """Run pytest on a file, on the virtual clock. Return its numbers of outcomes."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name, "--halfopen-clock", "virtual"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    counts = re.findall(r"(\d+) (passed|failed|errors?)", done.stdout.strip().splitlines()[-1])
    return {word: int(number) for number, word in counts}
