"""``halfopen``: puts the commands together and turns every error a user can cause into one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from harness import __version__
from harness.cli import compare, doctor, field, grace, listing, report, repro, run, warp, watch
from harness.cli.exits import explained
from harness.cli.kernel import kernel

app = typer.Typer(
    name="halfopen",
    help="Proves that a WebSocket server notices its dead clients and spares its live ones.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("grace")(grace.grace)
app.command("field")(field.field_)
app.command("report")(report.report)
app.command("repro")(repro.repro)
app.command("list")(listing.list_)
app.command("doctor")(doctor.doctor)
app.command("warp")(warp.warp)
app.command("watch")(watch.watch)
app.add_typer(kernel)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"halfopen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def call(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code (CONTRACT: 0, 1, 2, 3, 130)."""
    return explained(lambda: app(args=arguments, standalone_mode=False) or 0)
