"""``halfopen``: its commands, each imported only when called."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Sequence
from typing import Annotated

import typer

import halfopen
from halfopen.cli.exits import explained
from halfopen.cli.groups import expanded
from halfopen.netns.exit_codes import ExitCode

#: Module and attribute of each command in this package: a function, or a Typer with commands of its own.
COMMANDS = {
    "run": ("run", "run"),
    "init": ("init", "init"),
    "probe": ("probe", "probe"),
    "compare": ("compare", "compare"),
    "grace": ("grace", "grace"),
    "field": ("field", "field_"),
    "report": ("report", "report"),
    "repro": ("repro", "repro"),
    "list": ("listing", "list_"),
    "doctor": ("doctor", "doctor"),
    "warp": ("warp", "warp"),
    "watch": ("watch", "watch"),
    "guard": ("guard", "guard"),
    "kernel": ("kernel", "kernel"),
}

_GREETING = f"""\
halfopen {{version}}: does your WebSocket server notice its dead clients, and spare its live ones?
It starts your server in a network of its own, connects clients that die, freeze, stall or only pause, and shows which
sessions the server ended. It needs no root and leaves nothing behind. Three commands to start with:

  halfopen doctor
      checks that this machine can do it
  halfopen run frozen --grace 10s --server "python my_server.py --host {{{{host}}}} --port {{{{port}}}}"
      freezes a client of your server; without "frozen" it runs the nine scenarios of the suite core
  halfopen init --server "python my_server.py --host {{{{host}}}} --port {{{{port}}}}"
      writes a target file, a pytest test and a CI workflow for your server

All commands: halfopen --help. More: {halfopen.REPOSITORY}"""


def application(name: str | None = None) -> typer.Typer:
    """Make the application with the command of this name alone, or with all commands if there is none of this name."""
    made = typer.Typer(
        name="halfopen",
        help="Proves that a WebSocket server notices its dead clients and spares its live ones.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    made.callback()(_options)
    for each in [name] if name is not None and name in COMMANDS else COMMANDS:
        module, attribute = COMMANDS[each]
        command = getattr(importlib.import_module(f"halfopen.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            made.add_typer(command)
        else:
            made.command(each)(expanded(command))
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"halfopen {halfopen.__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def call(arguments: Sequence[str]) -> int:
    """Run a command, or greet if there is none, and return its exit code (0, 1, 2, 3, 130)."""
    if not arguments:
        typer.echo(_GREETING.format(version=halfopen.__version__))
        return ExitCode.PASSED
    name = arguments[0]
    # Modules are never garbage. Collecting during the imports would add a tenth to their time.
    gc.disable()
    app = application(name)
    gc.freeze()
    gc.enable()
    return explained(lambda: app(args=arguments, prog_name="halfopen", standalone_mode=False) or 0)
