"""The console script: commands that scripts and probes call every few seconds start without all the others.

``halfopen watch`` needs no lab, and importing one takes three times as long as all that it does.
"""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from harness.cli.wording import refusal
from harness.errors import InputError, reason_of
from netns.errors import GuestLostError, LabError
from netns.guest.script import EXIT_GUEST

#: As of any command (harness.results).
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

#: What is no bug of ours wherever it happens.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

#: The modules that need none of the others' imports; each has ``call(arguments)``.
_QUICK = {"watch": "harness.cli.watch"}
_ALL = "harness.cli.app"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    module = importlib.import_module(_QUICK.get(words[0], _ALL) if words else _ALL)
    sys.exit(module.call(words))


def _to_nobody(_sentence: str) -> None:
    pass


def explained(work: Callable[[], int], tell: Callable[[str], object] = _to_nobody) -> int:
    """Run ``work`` and return its exit code, or the one that its error stands for.

    What a user can cause is one line on stderr, which is told to ``tell``, too.
    """

    def complain(said: str, code: int = EXIT_USAGE) -> int:
        sentence = refusal(said)
        typer.echo(f"halfopen: {sentence}", err=True)
        tell(sentence)
        return code

    try:
        return work()
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except GuestLostError as error:
        return complain(str(error), EXIT_GUEST)
    except (InputError, LabError) as error:
        return complain(str(error))
    except typer.TyperException as error:
        return complain(error.format_message())
    except Exception as error:  # noqa: BLE001 (a bug of ours, which must not look like a verdict)
        if isinstance(error, OSError) and error.errno in _FULL:
            return complain(f"nothing more can be written: {reason_of(error)}; make room, or write elsewhere")
        traceback.print_exc()
        return EXIT_BUG
