"""A command imports only its own modules. ``--version`` imports nothing at all."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from halfopen.cli import app, options
from tests.harness.cli.tool import halfopen

#: Prints the modules that a call of ``halfopen`` imports beyond those of Python's start.
_IMPORTED = """
import sys
before = set(sys.modules)
from halfopen.cli.quick import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*(set(sys.modules) - before), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    call = [sys.executable, "-c", _IMPORTED, *arguments]
    return set(subprocess.run(call, capture_output=True, text=True, check=True).stderr.split())


def packages(modules: set[str]) -> set[str]:
    """Return the installed packages among the modules, including ours."""
    return {module.partition(".")[0] for module in modules} - sys.stdlib_module_names


def test_the_version_is_printed_without_importing_a_package() -> None:
    modules = imported("--version")
    assert {module for module in modules if packages({module})} == {"halfopen", "halfopen.cli", "halfopen.cli.quick"}
    assert modules.isdisjoint({"asyncio", "ctypes", "logging", "ssl", "typing_extensions"})


def test_the_version_is_what_the_application_says() -> None:
    alone, with_more = halfopen("--version"), halfopen("--version", "run")
    assert (alone.code, alone.out, alone.err) == (with_more.code, with_more.out, with_more.err)
    assert re.fullmatch(r"halfopen \S+\n", alone.out)


def test_a_version_that_cannot_be_printed_is_explained() -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "halfopen", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    told = "halfopen: nothing more can be written: no space left on device; make room, or write elsewhere\n"
    assert (ran.returncode, ran.stderr) == (2, told)


def test_a_run_does_not_import_what_makes_certificates() -> None:
    modules = imported("run", "--help")
    assert "halfopen.targets.tls" in modules
    assert packages(modules).isdisjoint({"cryptography", "trustme"})


@pytest.mark.parametrize("name", ["guard", "kernel", "list", "warp", "watch"])
def test_a_command_without_a_lab_does_not_import_what_a_run_needs(name: str) -> None:
    modules = imported(name, "--help")
    assert modules.isdisjoint({"halfopen.cli.run", "halfopen.cli.grace", "halfopen.run.runner", "halfopen.report"})
    assert packages(modules).isdisjoint({"jinja2", "junitparser", "pyroute2", "trustme"})


def test_all_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.call(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands ")[2].splitlines()
    assert [line.split()[1] for line in listed if re.match(r"│ \w", line)] == list(app.COMMANDS)


@pytest.mark.parametrize("name", app.COMMANDS)
def test_a_command_is_called_by_the_name_under_which_it_is_listed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.call([name, "--help"]) == 0
    assert f" Usage: halfopen {name} [OPTIONS]" in capsys.readouterr().out


def test_the_options_of_a_run_are_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.call(["run", "--help"]) == 0
    groups: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        if heading := re.match(r"╭─ (.*?) ─+╮", line):
            group = groups.setdefault(heading[1], [])
        elif option := re.match(r"│ (--[a-z-]+)", line):
            group.append(option[1])
    assert groups.pop("Options") == ["--help"]
    assert groups.pop("Arguments") == []
    assert set(groups) == {options.SERVER, options.POD, options.SCENARIOS, options.CLOCK, options.OUTPUT, options.CI}
    assert all(groups.values())


def test_a_command_that_does_not_exist_is_compared_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.call(["cmopare"]) == 2
    assert capsys.readouterr().err == "halfopen: no such command 'cmopare'. Did you mean 'compare'?\n"
