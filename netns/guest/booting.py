"""Boots a guest around one command and waits for it; however that ends, nothing of the guest stays."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netns import _libc, isolation
from netns.errors import IsolationError
from netns.guest import machine, script
from netns.guest.cache import GuestKernel
from netns.guest.machine import Machine
from netns.units import show_bytes, show_duration

#: For a guest that did not end as it should (EX_UNAVAILABLE, sysexits.h): neither a verdict nor the command's code.
EXIT_GUEST = 69
_INTERRUPTED = 130
#: Seconds of wall time that an interrupted command may take to end by itself.
_PATIENCE = 10.0
#: Hidden, in a mount namespace of our own, by a tmpfs that nobody else sees.
_PRIVATE = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Boot:
    """What to boot, and for how long."""

    kernel: GuestKernel
    command: Sequence[str]
    writable: Sequence[Path] = ()
    wall_limit: float = 600.0
    """Seconds of wall time after which a guest is given up."""
    memory: int = 1 << 30
    """Bytes of memory that the guest has; the machine gives what is used of them."""
    virtual: bool = True
    """Whether time passes only when somebody waits for it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the command finds there beside our own environment."""


def run(boot: Boot) -> int:
    """Run the command in a guest and return its exit code; output, errors and Ctrl-C come through.

    Returns EXIT_GUEST, and says on stderr what happened, for a guest that panics or does not end in
    time. Raises GuestError if it cannot be booted at all.
    """
    try:
        # The processes of a guest outlive the kernel that traces them, unless a pid namespace takes them along.
        return isolation.run(lambda: _in_private_memory(boot))
    except IsolationError:
        return _in_a_folder(boot)


def _in_private_memory(boot: Boot) -> int:
    """With the guest's memory and control files on a tmpfs that nobody else sees and that ends with us."""
    try:
        _libc.mount("tmpfs", str(_PRIVATE), "tmpfs", 0)
    except OSError:
        return _in_a_folder(boot)
    return _boot(boot, _PRIVATE)


def _in_a_folder(boot: Boot) -> int:
    with tempfile.TemporaryDirectory(prefix="halfopen-guest-") as place:
        return _boot(boot, Path(place))


def _boot(boot: Boot, place: Path) -> int:
    job = script.Job(
        command=boot.command,
        folder=Path.cwd(),
        environment=os.environ | boot.environment,
        writable=boot.writable,
        terminal=_terminal(),
    )
    (place / "init").write_text(script.render(job))
    with machine.running(boot.kernel, place, virtual=boot.virtual, memory=boot.memory) as guest:
        return _await(guest, boot.wall_limit, boot.memory)


def _terminal() -> tuple[int, int] | None:
    if not sys.stdout.isatty():
        return None
    columns, lines = shutil.get_terminal_size()
    return columns, lines


def _await(guest: Machine, limit: float, memory: int) -> int:
    """Wait for the guest's last word and make it the exit code; say what happened where there is none."""
    interrupted = False
    until = time.monotonic() + limit
    while True:
        try:
            code = guest.exit_code(until)
        except KeyboardInterrupt:
            if not interrupted:
                interrupted = True
                guest.signal("INT")
                until = min(until, time.monotonic() + _PATIENCE)
                continue
            return _INTERRUPTED
        except TimeoutError:
            if interrupted:
                return _INTERRUPTED
            _say(f"the guest was given up after {show_duration(limit)} of wall time{_spinning(guest)}")
            return EXIT_GUEST
        except EOFError:
            _say(guest.last_words())
            return EXIT_GUEST
        victim = guest.killed_for_memory()
        if victim is not None:
            _say(f"the guest ran out of its {show_bytes(memory)} of memory and killed {victim!r}")
            return EXIT_GUEST
        return code


def _spinning(guest: Machine) -> str:
    busy = guest.busy_process()
    if busy is None:
        return ""
    return f"; {busy} was running all the time: a loop that never sleeps never ends on the virtual clock"


def _say(why: str) -> None:
    print(f"halfopen: {why}", file=sys.stderr)
