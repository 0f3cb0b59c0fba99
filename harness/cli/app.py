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

#: Module and attribute of each command in this package: a function, or a Typer with commands of its own.
COMMANDS = {
    "run": ("run", "run"),
    "compare": ("compare", "compare"),
    "grace": ("grace", "grace"),
    "field": ("field", "field_"),
    "report": ("report", "report"),
    "repro": ("repro", "repro"),
    "list": ("listing", "list_"),
    "doctor": ("doctor", "doctor"),
    "warp": ("warp", "warp"),
    "watch": ("watch", "watch"),
    "kernel": ("kernel", "kernel"),
}


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
    """Run a command and return its exit code (0, 1, 2, 3, 130)."""
    name = arguments[0] if arguments else None
    # Modules are never garbage. Collecting during the imports would add a tenth to their time.
    gc.disable()
    app = application(name)
    gc.freeze()
    gc.enable()
    return explained(lambda: app(args=arguments, prog_name="halfopen", standalone_mode=False) or 0)
