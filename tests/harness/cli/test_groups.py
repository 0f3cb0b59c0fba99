"""Groups of options become options of a command, and reach it as the values that they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from halfopen.cli.groups import Without, expanded


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option(metavar="COLOUR")] = "red"
    coats: Annotated[int, typer.Option(min=1)] = 1


@dataclass(frozen=True)
class Place:
    room: Annotated[str | None, typer.Option()] = None


def paint(
    names: Annotated[list[str] | None, typer.Argument()] = None, *, paint: Paint, place: Place, dry: bool = False
) -> int:
    """Paint things."""
    typer.echo(repr((names, paint, place, dry)))
    return 0


def paint_once(*, paint: Annotated[Paint, Without("coats")]) -> int:
    typer.echo(repr(paint))
    return 0


def call(command: Callable[..., int], *arguments: str) -> None:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(expanded(command))
    app(args=arguments, standalone_mode=False)


def test_without_options_a_group_has_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    call(paint)
    assert capsys.readouterr().out == f"{(None, Paint(), Place(), False)!r}\n"


def test_options_reach_their_group_and_arguments_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    call(paint, "wall", "--colour", "blue", "--coats", "2", "--dry", "door", "--room", "hall")
    assert capsys.readouterr().out == f"{(['wall', 'door'], Paint('blue', 2), Place('hall'), True)!r}\n"


def test_help_lists_the_options_where_the_group_stands(capsys: pytest.CaptureFixture[str]) -> None:
    call(paint, "--help")
    text = capsys.readouterr().out
    assert "Paint things." in text
    assert re.findall(r"^  --(\w+)", text, re.MULTILINE) == ["colour", "coats", "room", "dry", "help"]


def test_an_option_that_a_command_lacks_is_refused_and_has_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.TyperException, match="No such option: --coats"):
        call(paint_once, "--coats", "2")
    call(paint_once, "--colour", "blue")
    assert capsys.readouterr().out == f"{Paint('blue')!r}\n"


def test_a_command_cannot_lack_an_option_that_its_group_has_not() -> None:
    def broken(*, paint: Annotated[Paint, Without("coat")]) -> int:
        raise NotImplementedError

    with pytest.raises(AssertionError, match="coat"):
        expanded(broken)
