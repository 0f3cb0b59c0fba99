"""Check that the command line accepts a call, without running it: for commands in documents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import typer

from halfopen.cli.app import application

#: Variables that CI fills in, with example values.
_FILLED_IN = {"${{ matrix.shard }}": "1", "$CI_NODE_INDEX": "1", "$CI_NODE_TOTAL": "4"}


def understand(words: list[str]) -> None:
    """Parse a call of halfopen with its options and values; raises typer.TyperException or InputError."""
    command = typer.main.get_command(application())
    context = command.make_context("halfopen", list(words))
    while isinstance(command, typer.core.TyperGroup):
        rest = [*context._protected_args, *context.args]
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(rest[0] if rest else "", rest, parent=context)


def calls(script: str) -> Iterator[list[str]]:
    """Yield the words of each halfopen call in a shell script."""
    for text, value in _FILLED_IN.items():
        script = script.replace(text, value)
    for line in script.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||;", line):
            words = shlex.split(part, comments=True)
            if words and re.fullmatch(r"(.*/)?halfopen", words[0]):
                yield words[1:]
