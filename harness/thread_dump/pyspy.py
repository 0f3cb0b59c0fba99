"""Frames of a Python process's threads, read by py-spy, an extra. The process itself need not help.

py-spy stops the process while it reads (some milliseconds), unless it is stopped already. Frames read while they change
would show locks that nobody holds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from halfopen.netns import processes

#: Timeout, seconds: far more than py-spy takes. It waits for a process that is being traced already.
_PATIENCE = 20.0
_FORBIDDEN = re.compile(r"permission denied|EPERM|operation not permitted", re.IGNORECASE)
_REASON = re.compile(r"^(Reason:|Error:)\s*(?P<why>.+)$", re.IGNORECASE)


class UnavailableError(Exception):
    """py-spy cannot read a process; one line says why."""


class LocalVariable(msgspec.Struct, frozen=True):
    """A local variable."""

    name: str
    addr: int
    repr: str | None = None


class PythonFrame(msgspec.Struct, frozen=True):
    """One call of a Python function."""

    name: str
    filename: str
    line: int
    locals: list[LocalVariable] | None = None


class PythonThread(msgspec.Struct, frozen=True):
    """One thread that Python knows of."""

    active: bool
    frames: list[PythonFrame]
    """The innermost first."""
    thread_name: str | None = None
    os_thread_id: int | None = None
    """Thread id as the process itself sees it; None if py-spy does not know."""


def threads(pid: int) -> list[PythonThread]:
    """Return a Python process's threads; raises UnavailableError."""
    executable = program()
    if executable is None:
        raise UnavailableError(
            "py-spy is not installed; pip install 'halfopen[stacks]' shows the frames of Python servers"
        )
    if not _runs_python(pid):
        raise UnavailableError("not a Python process; only the kernel's view is shown")
    command = [executable, "dump", "--pid", str(pid), "--json", "--locals"]
    # Of a process that a signal or a debugger has stopped, py-spy would wait for the end of that.
    fields = processes.stat(pid)
    command += ["--nonblocking"] if fields and fields[0] in "Tt" else []
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"py-spy did not answer within {_PATIENCE:g}s") from None
    except OSError as error:
        raise UnavailableError(f"py-spy cannot be run: {error.strerror}") from None
    if ran.returncode:
        raise UnavailableError(complaint(ran.stderr))
    return parse(ran.stdout)


def parse(output: str) -> list[PythonThread]:
    """Parse the output of ``py-spy dump --json``; raises UnavailableError."""
    try:
        return msgspec.json.decode(output, type=list[PythonThread])
    except msgspec.DecodeError as error:
        raise UnavailableError(f"py-spy printed unexpected output: {error}") from None


def complaint(output: str) -> str:
    """Reduce py-spy's error output to one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any(_FORBIDDEN.search(line) for line in lines):
        return "py-spy may not read it; run halfopen as its user, or as root"
    reasons = [reason["why"] for line in lines if (reason := _REASON.match(line))]
    return f"py-spy says: {(reasons or lines or ['nothing, but it failed'])[-1]}"


def program() -> str | None:
    """Return the path of py-spy, beside this Python or else on the PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _runs_python(pid: int) -> bool:
    """True if a process runs the interpreter: its program is called python, or it has the library mapped.

    True also if that is not visible, so that py-spy reports why.
    """
    try:
        mapped = Path(f"/proc/{pid}/maps").read_text(errors="replace")
        program = Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return True
    return "python" in program or re.search(r"/libpython[0-9.t]*\.so", mapped) is not None
