"""The console script: commands that scripts and probes call every few seconds start without all the others.

``halfopen watch`` needs no lab, and importing one takes three times as long as all that it does.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from harness.cli.wording import refusal
from harness.errors import InputError
from netns.errors import LabError

#: As of any command (harness.results).
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

#: The modules that need none of the others' imports; each has ``call(arguments)``.
_QUICK = {"watch": "harness.cli.watch"}
_ALL = "harness.cli.app"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    module = importlib.import_module(_QUICK.get(words[0], _ALL) if words else _ALL)
    sys.exit(module.call(words))


def explained(work: Callable[[], int]) -> int:
    """Run ``work`` and return its exit code, or the one that its error stands for: harness.cli.exits, in small."""
    try:
        return work()
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except (InputError, LabError) as error:
        return _complain(str(error))
    except typer.TyperException as error:
        return _complain(error.format_message())
    except Exception:  # noqa: BLE001 (a bug of ours, which must not look like a verdict)
        traceback.print_exc()
        return EXIT_BUG


def _complain(sentence: str) -> int:
    typer.echo(f"halfopen: {refusal(sentence)}", err=True)
    return EXIT_USAGE
