"""Turn errors that users can cause into one line on stderr and exit code 2, and report them to GitHub in its jobs."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable

import typer

from halfopen.errors import QUOTE, InputError, reason_of
from halfopen.netns import bug_report, isolation
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.lab_errors import GuestLostError, LabError, TeardownError
from halfopen.results import workflow_commands

#: Errors that are never a bug of ours, wherever they happen.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Prefixes that pydantic (typer's reader of values) puts before its own messages or an enumeration's.
_PREFIX = re.compile(r"(: )?(Value error, |Input should be )")


def explained(work: Callable[[], int]) -> int:
    """Run ``work`` and return its exit code, or the exit code of its error, also of one in a thread."""
    broken: list[BaseException] = []
    with bug_report.of_threads(broken.append):
        code = _code(work)
    for error in broken:
        code = _refused(bug_report.sentence(error), ExitCode.BUG)
    return code


def _code(work: Callable[[], int]) -> int:
    try:
        return work()
    except typer.Exit as leaving:
        return leaving.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except (GuestLostError, TeardownError) as error:
        return _refused(str(error), ExitCode.GUEST)
    except (InputError, LabError) as error:
        return _refused(str(error))
    except typer.TyperException as error:
        return _refused(error.format_message())
    except Exception as error:  # noqa: BLE001 (a bug of ours, which must not look like a verdict)
        if isinstance(error, OSError) and error.errno in _FULL:
            return _refused(f"nothing more can be written: {reason_of(error)}; make room, or write elsewhere")
        return _refused(bug_report.sentence(error), ExitCode.BUG)


def one_line(message: str) -> str:
    """Return an error message in our style: one line that begins in lower case, whatever its source."""
    line = " ".join(message.split())
    line = re.sub(r"^Invalid value for '([^']+)'", r"\1", line)
    line = _PREFIX.sub(lambda prefix: f"{prefix[1] or ''}{'it should be ' * (prefix[2][0] == 'I')}", line, count=1)
    return f"{line[:1].lower()}{line[1:]}".removesuffix(".")


def _refused(message: str, code: int = ExitCode.USAGE) -> int:
    first, *quotes = message.split(QUOTE)
    text = QUOTE.join([one_line(first), *quotes])
    typer.echo(f"halfopen: {text}", err=True)
    if workflow_commands.is_here():
        workflow_commands.say([workflow_commands.command("error", "halfopen", text)])
    return code


def isolated(work: Callable[[], int], *, is_brief: bool = False) -> int:
    """Run ``work`` in namespaces of its own. Its errors are explained there, where they happen.

    Raises IsolationError, and KeyboardInterrupt if work ``is_brief`` (halfopen.netns.isolation).
    """
    return isolation.run(lambda: explained(work), is_brief=is_brief)
