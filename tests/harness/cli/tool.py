"""The command line as a user runs it: a process with arguments, an exit code, and output."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halfopen.cli import app

HALFOPEN = [sys.executable, "-m", "halfopen"]
#: Prefix of a command that makes file modes bind root like any other user (capabilities(7)).
POWERLESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def halfopen(*arguments: str, under: Sequence[str] = (), **options: Any) -> Ran:
    done = subprocess.run(
        [*under, *HALFOPEN, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def called(*arguments: str) -> Ran:
    """Run it in this process, for input that is refused before anything starts."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.call(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


def results(out: Path, file: str = "results.json") -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / file).read_text())
    return table


def by_scenario(out: Path) -> dict[str, dict[str, Any]]:
    return {run["scenario"]: run for run in results(out)["runs"]}
