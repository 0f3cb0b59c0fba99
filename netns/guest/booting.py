"""Boot guests and wait for their commands; no trace of a guest is left, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from halfopen.netns import isolation
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.guest import machine, memory_dir, script, subreaper
from halfopen.netns.guest.machine import Machine
from halfopen.netns.guest.script import Boot
from halfopen.netns.lab_errors import GuestError, GuestLostError, IsolationError
from halfopen.netns.processes import children
from halfopen.netns.units import show_bytes, show_duration

#: Seconds of wall time within which an interrupted command should end by itself.
_PATIENCE = 10.0
#: Bytes that a pipe takes without waiting (pipe(7), pipe-max-size).
_PIPE = 1 << 20
#: Mount points that the guest's own file systems cover.
_OWN = ("/dev", "/proc", "/sys")
#: Covered, in a mount namespace of our own, by a private tmpfs.
_PRIVATE = Path("/dev/shm")  # noqa: S108
#: The guest's memory is an unlinked file, mapped page by page and shared; user memory is mapped executable and
#: writable.
_USER_MEMORY = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rwxs .* \(deleted\)")
_PAGE = 4096
_ASSIGNMENT = re.compile(rb"\w+=")
#: The string before the first argument on a stack (AT_PLATFORM).
_PLATFORM = b"x86_64\0"
#: Most characters of a command line in an error.
_LONGEST = 120
#: Seconds of observation of the guest's processes: long enough for many of the kernel's ticks.
_LOOK = 0.5


def run(boot: Boot) -> int:
    """Run the command in a guest and return its exit code; output, errors and Ctrl-C pass through.

    For a guest that panics or exceeds its time, prints the reason on stderr and returns ExitCode.GUEST. Raises
    GuestError if it cannot be booted here.
    """
    _open_standard_files()
    require_folders(boot.writable)
    return in_private(lambda place: _run(boot, place))


def in_private(work: Callable[[Path], int]) -> int:
    """Run ``work``, which may start guests, with a folder for their memory and files; return its exit code.

    The folder is a private tmpfs, and the kernel ends all guests with the work. A guest's processes outlive their
    tracer unless a pid namespace ends them. If the machine refuses namespaces or the mount, a guard process kills the
    guests when we end, and deletes the folder, which is then on disk or in memory. Raises GuestError if no folder fits.
    """
    try:
        return isolation.run(lambda: work(_PRIVATE), private=_PRIVATE)
    except IsolationError:
        return subreaper.run(work, memory_dir.choose())


def _open_standard_files() -> None:
    """Open /dev/null for each standard file that our caller has closed, so that the guest's consoles can write."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDWR)


def require_folders(writable: Sequence[Path], read: Sequence[Path] = ()) -> None:
    """Refuse folders that the guest replaces by its own, which would hide the machine's; raises GuestError.

    ``read`` lists files and folders that must be readable there.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise GuestError("the working directory no longer exists; start halfopen in another") from None
    if _is_below(here, (*_OWN, "/run")) and not _is_below(here, writable):
        raise GuestError(f"the guest has its own /{here.parts[1]}, without {str(here)!r}; start it in another folder")
    for path in read:
        if _is_below(path.absolute(), (*_OWN, "/run")):
            own = path.absolute().parts[1]
            raise GuestError(f"the guest has its own /{own}, without {str(path)!r}; put it elsewhere")
    for folder in writable:
        if folder == Path("/") or _is_below(folder, _OWN):
            raise GuestError(f"{str(folder)!r} cannot be made writable in a guest; name a folder of files")


def _is_below(folder: Path, places: Sequence[Path | str]) -> bool:
    return any(folder.is_relative_to(place) for place in places)


def start(
    boot: Boot, place: Path, output: int, terminal: tuple[int, int] | None = None
) -> AbstractContextManager[Machine]:
    """Boot a guest with its files in ``place``; its command's output goes to the descriptor ``output``."""
    place.mkdir(exist_ok=True)
    init = script.render(
        boot,
        folder=Path.cwd(),
        environment=os.environ | boot.environment,
        # The only use of this machine's wall clock: the guest's starts at the same time.
        now=int(time.time()),
        terminal=terminal,
        one_output=os.path.sameopenfile(output, 2),
    )
    (place / "init").write_bytes(os.fsencode(init))
    return machine.running(boot, place, output)


def output_pipe() -> tuple[int, int]:
    """Return the ends of a pipe for a guest's output. A guest that waits for room in it would let its time pass."""
    read, write = os.pipe()
    # The machine may allow no more room.
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE)
    return read, write


def exit_code(guest: Machine, boot: Boot, until: float) -> int:
    """Wait for the command's exit code until the monotonic clock reaches ``until``; raises GuestLostError."""
    try:
        code = guest.exit_code(until)
    except TimeoutError:
        limit = show_duration(boot.wall_limit)
        busy = busiest(guest.process.pid) if boot.virtual else None
        loop = f"; the busiest process was {busy} (a loop that never sleeps never ends on the virtual clock)"
        raise GuestLostError(f"the guest was stopped after {limit} of wall time{loop if busy else ''}") from None
    except EOFError:
        raise GuestLostError(guest.last_words()) from None
    victim = guest.killed_for_memory()
    if victim is not None:
        raise GuestLostError(f"the guest ran out of its {show_bytes(boot.memory)} of memory and killed {victim!r}")
    return code


def busiest(kernel: int) -> str | None:
    """Return the command line of the guest's process that uses the processor most; None if unknown.

    Observes for half a second, from outside. ``kernel`` is the pid of the guest's kernel, and each process of the guest
    is a nameless child of it. Its program is read from the top of its stack: there execve(2) put its arguments, its
    environment, and last the name of the program (create_elf_tables in fs/binfmt_elf.c).
    """
    before = _processor_times(kernel)
    time.sleep(_LOOK)
    used = {pid: ticks - before.get(pid, 0) for pid, ticks in _processor_times(kernel).items()}
    for pid in sorted(used, key=lambda pid: -used[pid]):
        if used[pid] and (named := command_line(_top_of_stack(pid))):
            return named
    return None


def _processor_times(parent: int) -> dict[int, int]:
    """Return clock ticks of processor time, user and system, by child (proc(5), /proc/PID/stat)."""
    return {pid: int(fields[11]) + int(fields[12]) for pid, fields in children(parent).items()}


def _top_of_stack(pid: int) -> bytes:
    with contextlib.suppress(OSError, ValueError):
        ends = [int(m[2], 16) for m in _USER_MEMORY.finditer(Path(f"/proc/{pid}/maps").read_text())]
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for end in sorted(ends, reverse=True):
                page = os.pread(memory.fileno(), _PAGE, end - _PAGE)
                # execve leaves space for a null pointer above the program's name.
                if page.endswith(bytes(9)) and page.strip(b"\0"):
                    return _down_to_arguments(memory.fileno(), end - _PAGE, page)
    return b""


def _down_to_arguments(memory: int, start: int, stack: bytes) -> bytes:
    """Prepend the pages below, which a large environment fills, as far as the guest's kernel has mapped them."""
    with contextlib.suppress(OSError):
        while _PLATFORM not in stack:
            start -= _PAGE
            stack = os.pread(memory, _PAGE, start) + stack
    return stack


def command_line(top: bytes) -> str | None:
    """Return the executed command from the last bytes of a stack; without its arguments if the bytes lack them."""
    _, platform, above = top.rstrip(b"\0").partition(_PLATFORM)
    strings = (above if platform else top.rstrip(b"\0")).split(b"\0")
    program = strings.pop()
    if not program or not program.isascii():
        return None
    if not platform:
        return program.decode()
    while strings and _ASSIGNMENT.match(strings[-1]):
        strings.pop()
    return shlex.join(argument.decode(errors="replace") for argument in strings)[:_LONGEST]


def _run(boot: Boot, place: Path) -> int:
    try:
        with start(boot, place, 1, shutil.get_terminal_size() if os.isatty(1) else None) as guest:
            return _until_interrupted(guest, boot)
    except (GuestError, GuestLostError) as error:
        print(f"halfopen: {error}", file=sys.stderr)
        return ExitCode.GUEST
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _until_interrupted(guest: Machine, boot: Boot) -> int:
    try:
        return exit_code(guest, boot, time.monotonic() + boot.wall_limit)
    except KeyboardInterrupt:
        if not guest.listens():
            return ExitCode.INTERRUPTED
        guest.signal("INT")
    try:
        return exit_code(guest, boot, time.monotonic() + _PATIENCE)
    except GuestLostError:
        return ExitCode.INTERRUPTED
