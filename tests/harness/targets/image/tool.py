"""The command line with a container image, and programs to run in it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests import engine
from tests.harness.cli.tool import Ran, halfopen

TERMS = ("--grace", "1s", "--poll", "500ms")
POD = f"{engine.PYTHON} -m halfopen.pod --host {{host}} --port {{port}}"
WATCHED = f"{POD} --grace 1s --poll 500ms"
UNWATCHED = f"{POD} --detector none"


def run(*arguments: str, command: str | None = WATCHED, image: str = engine.IMAGE, **options: Any) -> Ran:
    its = [] if command is None else ["--command", command]
    return halfopen("run", *TERMS, *arguments, "--image", image, *its, **options)


def refused(*arguments: str, command: str | None = WATCHED, **options: Any) -> str:
    """Return the one line with which it is refused."""
    ran = run("active", *arguments, command=command, **options)
    assert ran.code == 2, ran
    (line,) = [line for line in ran.err.splitlines() if line.startswith("halfopen: ")]
    return line.removeprefix("halfopen: ")


def python(code: str) -> str:
    return f"{engine.PYTHON} -c {shlex.quote(code)}"


def health_check(options: str, code: str) -> str:
    """Return a Dockerfile instruction for an image without a shell."""
    return f"HEALTHCHECK {options} CMD {json.dumps([engine.PYTHON, '-c', code])}"


def events(out: Path, name: str, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (out / "timelines" / f"{name}.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]
