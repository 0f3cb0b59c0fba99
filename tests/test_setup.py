"""Installations by ``make matrix`` and ``make test``. Only pip is fake: a package that prints similar output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed: apt install make")

#: Replaces ``python3``: the environments that it makes have only the pip in $PIP.
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
for last; do :; done
{python} "$@" --without-pip && cp -r "$PIP" "$last"/lib/python*/site-packages/
"""

#: Records its arguments. $PIP_FAILS is its exit code; "killed" means a signal.
PIP = """
import os, signal, sys, sysconfig
from pathlib import Path

if sys.argv[1:] == ["--version"]:
    sys.exit()
with open(os.environ["CALLS"], "a") as calls:
    print(*sys.argv[1:], file=calls)
here = Path(sysconfig.get_path("purelib"))
(here / f"half-of-{sys.argv[-1]}").mkdir(exist_ok=True)
print("WARNING: of no concern")
print("Collecting one>=1\\n  Downloading one-1.0 (1 kB)\\nCollecting two")
if os.environ.get("PIP_FAILS") == "killed":
    os.kill(os.getppid(), signal.SIGKILL)
if os.environ.get("PIP_FAILS"):
    print("ERROR: no matching distribution\\nERROR: more of it")
    sys.exit(1)
print("Installing collected packages: one, two", flush=True)
print("Successfully installed one-1.0 two-2.0")
"""


@dataclass(frozen=True)
class Ran:
    code: int
    said: list[str]


@dataclass(frozen=True)
class Checkout:
    """A folder with a blank in its name, in which ``scripts/setup`` makes .venv."""

    folder: Path
    script: Path

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def set_up(self, *extras: str, **environment: str) -> Ran:
        given = os.environ | {
            "PYTHON": str(self.folder / "python"),
            "PIP": str(self.folder / "pip"),
            "CALLS": str(self.folder / "calls"),
        }
        ran = subprocess.run(
            [self.script, ".venv", *extras],
            cwd=self.folder,
            env=given | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout == ""
        return Ran(ran.returncode, [re.sub(r"after \d+ s$", "after N s", line) for line in ran.stderr.splitlines()])

    def installed(self) -> list[str]:
        """Return pip's arguments of what to install, call after call."""
        return [line.split()[-1] for line in (self.folder / "calls").read_text().splitlines()]

    def marks(self) -> set[str]:
        return {path.name for path in self.venv.glob(".ready*")}

    def holds(self, project: str) -> bool:
        """True if an installation of this was begun in the environment."""
        return any(self.venv.glob(f"lib/python*/site-packages/half-of-{glob_free(project)}"))


def glob_free(name: str) -> str:
    return name.replace("[", "[[]")


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Checkout:
    folder = tmp_path / "a checkout"
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(PIP)
    (folder / "python").write_text(PYTHON.format(python=sys.executable))
    (folder / "python").chmod(0o755)
    return Checkout(folder, repository / "scripts" / "setup")


def test_a_run_gets_what_it_needs_and_says_so_in_four_lines(checkout: Checkout) -> None:
    assert checkout.set_up() == Ran(
        0,
        [
            "halfopen setup: making .venv (once)",
            "halfopen setup: looking for the packages that a run needs",
            "halfopen setup: installing 2 packages",
            "halfopen setup: ready after N s",
        ],
    )
    assert checkout.installed() == ["."]
    assert checkout.marks() == {".ready"}


def test_what_tests_need_is_added_to_what_a_run_needs(checkout: Checkout) -> None:
    checkout.set_up()
    assert checkout.set_up("dev").said[0] == (
        "halfopen setup: looking for the packages that a run needs, and for those of tests"
    )
    assert checkout.installed() == [".", ".[dev]"]
    assert checkout.marks() == {".ready", ".ready-dev"}
    assert checkout.holds(".")


def test_tests_can_be_set_up_at_once(checkout: Checkout) -> None:
    assert checkout.set_up("dev").code == 0
    assert checkout.installed() == [".[dev]"]
    assert checkout.marks() == {".ready", ".ready-dev"}


def test_a_change_of_what_is_needed_asks_for_tests_again(checkout: Checkout) -> None:
    checkout.set_up("dev")
    checkout.set_up()
    assert checkout.marks() == {".ready"}
    assert checkout.holds(".[dev]")


def test_what_cannot_be_installed_is_one_line_and_marks_nothing(checkout: Checkout) -> None:
    checkout.set_up()
    ran = checkout.set_up("dev", PIP_FAILS="1")
    assert ran.code == 1
    log = "all that pip says is in .venv/setup.log"
    assert ran.said[1:] == [f"halfopen setup: .[dev] cannot be installed: ERROR: no matching distribution; {log}"]
    assert "WARNING: of no concern" in (checkout.venv / "setup.log").read_text()
    assert checkout.marks() == set()


@pytest.mark.parametrize("extras", [(), ("dev",)])
def test_an_environment_that_was_interrupted_is_made_anew(checkout: Checkout, extras: tuple[str, ...]) -> None:
    assert checkout.set_up(*extras, PIP_FAILS="killed").code != 0
    assert checkout.marks() == set()
    assert checkout.holds(".[dev]" if extras else ".")
    (checkout.venv / "left").touch()
    ran = checkout.set_up()
    assert (ran.code, ran.said[0]) == (0, "halfopen setup: making .venv (once)")
    assert not (checkout.venv / "left").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.set_up()
    (checkout.venv / "bin" / "python").unlink()
    assert checkout.set_up().said[0] == "halfopen setup: making .venv (once)"
    assert checkout.marks() == {".ready"}


@needs_make
@pytest.mark.parametrize(
    ("target", "call"),
    [("matrix", "scripts/setup {}"), ("test", "scripts/setup {} dev"), ("lint", "scripts/setup {} dev")],
)
def test_a_target_sets_up_what_it_needs(target: str, call: str, tmp_path: Path, repository: Path) -> None:
    venv = tmp_path / ".venv"
    ran = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", f"VENV={venv}", target],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line for line in ran.stdout.splitlines() if "scripts/setup" in line] == [call.format(venv)]


def needed(name: str) -> set[str]:
    """Return an installed package and its dependencies, without extras."""
    found: set[str] = set()
    todo = [name]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in found:
            found.add(name)
            todo += [wanted[0] for line in _requires(name) if (wanted := re.match(r"[\w.-]+", line))]
    return found


def _requires(name: str) -> list[str]:
    try:
        return [line for line in metadata.requires(name) or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:  # for another system, or another Python
        return []


@pytest.mark.parametrize("command", ["run", "warp", "kernel", "compare", "report"])
def test_what_a_command_imports_is_installed_for_a_run(command: str) -> None:
    # Without site, whose .pth files may import other packages (setuptools has one).
    source = f"import sys; sys.path[:] = {sys.path!r}; import halfopen.cli.{command}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True)
    packages = {module.partition(".")[0] for module in ran.stdout.split()}
    providers = metadata.packages_distributions()
    distributions = {
        re.sub(r"[-_.]+", "-", name).lower() for package in packages for name in providers.get(package, ())
    }
    assert "typer" in distributions
    # pyroute2 imports psutil if it is there, and works without it.
    assert distributions <= needed("halfopen") | {"psutil"}
