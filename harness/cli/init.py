"""``halfopen init``: write a target file, a pytest test and a CI workflow for a server."""

from __future__ import annotations

import importlib.util
import json
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from rich.console import Console
from rich.markup import escape

import halfopen
from halfopen.cli import probe
from halfopen.cli.groups import Without
from halfopen.cli.options import ClockOptions, ServerOptions
from halfopen.cli.probe import ProbeOptions
from halfopen.errors import InputError, reason_of
from halfopen.netns.exit_codes import ExitCode
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.scenario.target_spec import TargetSpec

TARGET, TEST, WORKFLOW = "halfopen.toml", "test_liveness.py", ".github/workflows/liveness.yml"
#: Seconds, if no grace fits the server: the default of ``halfopen run``.
_GRACE = 30
#: A file in a project, and the command that then installs what its server needs.
_INSTALLS = {
    "requirements.txt": "pip install -r requirements.txt",
    "pyproject.toml": "pip install .",
    "package-lock.json": "npm ci",
    "package.json": "npm install",
}

_TEST = '''"""Dead clients must lose their session, and live ones keep it. By `halfopen init`; edit it as you like."""

import pytest

SERVER = {command}
# The longest that the server may keep a dead client.
pytestmark = pytest.mark.halfopen(grace="{grace}s")


def test_a_frozen_client_loses_its_session(lab):
    client = lab.connect(lab.serve(SERVER{options}))

    client.freeze()

    assert lab.session(client).reaped(within="grace + poll + 1s")


def test_a_client_that_stops_for_a_moment_keeps_its_session(lab):
    client = lab.connect(lab.serve(SERVER{options}), client="acking")

    with client.fault("freeze"):
        assert lab.session(client).kept(for_="0.5 * grace")
    assert lab.session(client).kept(for_="grace")
'''

_WORKFLOW = """\
# Written by `halfopen init`; edit it as you like. All inputs: {repository}/blob/main/docs/ci.md
name: liveness
on: [push, pull_request]
jobs:
  halfopen:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
{install}\
      - name: {title}
        uses: {action}@v{version}
        with:
          target: {target}
"""


#: Ends the workflow's line.
_MISSING = "; add a step that installs what your server needs"


def init(
    *,
    server: Annotated[ServerOptions, Without("image"), Without("command"), Without("target")],
    scenarios: ProbeOptions,
    clock: Annotated[ClockOptions, Without("writable")],
) -> int:
    """Write a target file, a pytest test and a GitHub workflow for a server, in the current folder.

    Probes the server first, for the grace. Overwrites nothing.
    """
    spec, here = server.spec(), Path.cwd()
    if spec.is_pod:
        raise InputError("--server: missing; name your server, as in --server 'python app.py --port {port}'")
    workflow = _repository(here) / WORKFLOW
    if all(path.exists() for path in (here / TARGET, here / TEST, workflow)):
        raise InputError(
            f"{TARGET}, {TEST} and {WORKFLOW}: are there already; remove those that you want written again"
        )
    with tempfile.TemporaryDirectory() as out:
        return probe.observe(spec, scenarios, clock, Path(out), partial(conclude, spec=spec, here=here))


def conclude(
    console: Console, conditions: Conditions, done: Sequence[RunResult], _wall: float, *, spec: TargetSpec, here: Path
) -> int:
    """Write the files, and print their names and the next command; returns the exit code."""
    if conditions.profile is None:
        code = probe.unknown(console, done)
        console.print("nothing is written; describe the server as it is to be asked: halfopen init --help")
        return code
    kept_for = list(probe.deaths(done))
    console.print(escape("\n".join(kept_for)), soft_wrap=True)
    grace = probe.fitting_grace(done, conditions.profile)
    found = [f"profile: {conditions.profile}", *map(str.strip, kept_for)]
    for line in written(spec, here, grace or _GRACE, found):
        console.print(escape(line), soft_wrap=True)
    console.print(f"next:  {shlex.join(['halfopen', 'run', '--target', TARGET])}")
    return ExitCode.PASSED


def written(spec: TargetSpec, here: Path, grace: int, found: Sequence[str]) -> Iterator[str]:
    """Write the files that do not exist yet, and yield a line for each; raises InputError.

    ``found`` are the probe's findings, and ``grace`` has seconds.
    """
    root = _repository(here)
    texts = {
        here / TARGET: (
            target_text(msgspec.structs.replace(spec, grace=f"{grace}s"), found),
            "your server, as halfopen starts and asks it",
        ),
        here / TEST: (pytest_text(spec, grace), f"a pytest test; {_how_to_test()}"),
        root / WORKFLOW: (
            workflow_text(spec, here, root),
            f"runs the suite core on GitHub at each push{_MISSING if _install(here) is None else ''}",
        ),
    }
    for path, (text, meaning) in texts.items():
        name = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            yield f"kept:  {name}, which exists already"
        except OSError as error:
            raise InputError(f"{name}: cannot be written: {reason_of(error)}; run init in a writable folder") from None
        else:
            yield f"wrote: {name} ({meaning})"


def _install(here: Path) -> str | None:
    """Return the command that installs the requirements of a server in a folder; None if none are listed there."""
    return next((command for file, command in _INSTALLS.items() if (here / file).exists()), None)


def _how_to_test() -> str:
    """Return the command that runs the test, and before it the one that brings pytest where it is missing."""
    bring = "" if importlib.util.find_spec("pytest") else "pip install 'halfopen[pytest]', then "
    return f"{bring}pytest {TEST} --halfopen-clock auto"


def target_text(spec: TargetSpec, found: Sequence[str]) -> str:
    """Return the target file of a server, with the probe's findings as comments."""
    lines = [f"{key} = {_toml(value)}" for key, value in _settings(spec).items()]
    head = ["# Written by `halfopen init`; edit it as you like. All keys: docs/targets.md. The probe found:"]
    return "\n".join([*head, *(f"#   {line}" for line in found), "[target]", *lines, ""])


def pytest_text(spec: TargetSpec, grace: int) -> str:
    """Return the pytest test of a server."""
    options = "".join(f", {key}={value!r}" for key, value in _settings(spec).items() if key != "server")
    return _TEST.format(command=json.dumps(spec.server, ensure_ascii=False), options=options, grace=grace)


def workflow_text(spec: TargetSpec, here: Path, root: Path) -> str:
    """Return the workflow of a server whose target file is in ``here``, a folder of the repository ``root``."""
    install = _install(here)
    step = "      # Install here what your server needs.\n" if install is None else f"      - run: {install}\n"
    folder = here.relative_to(root)
    if install is not None and folder != Path():
        step += f"        working-directory: {json.dumps(str(folder))}\n"
    return _WORKFLOW.format(
        repository=halfopen.REPOSITORY,
        action=halfopen.REPOSITORY.removeprefix("https://github.com/"),
        version=halfopen.__version__,
        install=step,
        title=json.dumps(f"Test {spec.server}", ensure_ascii=False),
        target=json.dumps(str(folder / TARGET)),
    )


def _settings(spec: TargetSpec) -> dict[str, Any]:
    """Return the settings that differ from their defaults, by their key in a target file."""
    blank = msgspec.to_builtins(TargetSpec())
    return {key: value for key, value in msgspec.to_builtins(spec).items() if value != blank[key]}


def _toml(value: object) -> str:
    """Return a value in TOML, whose strings may be written as JSON's (TOML 1.0, basic strings)."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    # JSON leaves DEL as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _repository(here: Path) -> Path:
    """Return the top of the git repository that ``here`` is in; ``here`` itself if it is in none."""
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
