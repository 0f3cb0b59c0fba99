"""A guest kernel as a process of this machine: its arguments, its consoles, its end."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from halfopen.netns.errors import GuestError
from halfopen.netns.guest import cache, room, script, seeding, spinning
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.units import show_bytes

#: How the kernel tells of it (mm/oom_kill.c).
_OUT_OF_MEMORY = re.compile(r"Out of memory: Killed process \d+ \((.*?)\)")
_EXITED = re.compile(rf"^{script.EXIT} (\d+)\n".encode(), re.MULTILINE)
#: The first version whose processes can be held by seccomp filters in place of ptrace.
_HAS_SECCOMP = [6, 16]


@dataclass(slots=True)
class Machine:
    """A running guest."""

    process: subprocess.Popen[bytes]
    log: Path
    """What the kernel itself says."""
    heard: int
    """File descriptor of what the guest says over its line."""
    told: int
    """File descriptor of what is said to the guest."""
    scarce: str = ""
    """What may have ended it, if its memory was not sure to fit into its folder."""
    _said: bytes = b""

    def exit_code(self, until: float) -> int:
        """Wait for the command's exit code.

        Raises TimeoutError when the monotonic clock shows ``until``, EOFError if the guest ends without one.
        """
        while not (found := _EXITED.search(self._said)):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.heard], [], [], left)[0]:
                raise TimeoutError
            # A terminal whose other end is gone is EIO, a pipe's is an empty reading.
            if not self._hear():
                raise EOFError
        return int(found[1])

    def listens(self) -> bool:
        """Whether the guest has booted so far that it passes signals on to its command."""
        if select.select([self.heard], [], [], 0)[0]:
            self._hear()
        return script.LISTENING.encode() in self._said

    def _hear(self) -> bytes:
        piece = os.read(self.heard, 100)
        self._said += piece
        return piece

    def signal(self, name: str) -> None:
        """Send the command a signal: ``"INT"``. A guest that does not listen yet may never hear of it."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.told, f"{name}\n".encode())

    def killed_for_memory(self) -> str | None:
        """The name of the process that the guest's kernel killed when memory ran out, None if it killed none."""
        found = _OUT_OF_MEMORY.search(self.log.read_text(errors="replace"))
        return found and found[1]

    def last_words(self) -> str:
        """Why the kernel ended by itself."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        panics = [line for line in lines if "Kernel panic" in line]
        if panics:
            return f"the guest kernel panicked: {panics[0].partition('Kernel panic - ')[2]}"
        # It dies of a page without room (SIGBUS) and has no word for it.
        return f"the guest kernel ended before its command did{f': {lines[-1]}' if lines else self.scarce}"

    def busy_process(self) -> str | None:
        """The guest's process that uses the processor now, None if none does or it cannot be told."""
        return spinning.busiest(self.process.pid)


@dataclass(frozen=True, slots=True)
class Wires:
    """The file descriptors that a guest's consoles are."""

    out: int
    err: int
    listens: int
    says: int


def arguments(kernel: GuestKernel, place: Path, wires: Wires, *, virtual: bool, memory: int) -> list[str]:
    """The command that boots ``place``/init (Documentation/admin-guide/kernel-parameters.txt and arch/um)."""
    return [
        str(kernel.program),
        f"mem={memory >> 20}M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        *(["time-travel=inf-cpu", f"time-travel-start={seeding.EPOCH_NS}"] if virtual else []),
        # Faster than ptrace, where the machine allows it (arch/um/os-Linux/start_up.c).
        *(["seccomp=auto"] if cache.numbers(kernel.version) >= _HAS_SECCOMP else []),
        "con=null",
        f"con0=null,fd:{wires.out}",
        f"con1=null,fd:{wires.err}",
        f"con2=fd:{wires.listens},fd:{wires.says}",
        # What the kernel says is not to get between what the command says.
        "con3=null,fd:1",
        "console=tty3",
        # A kernel that mounts it by itself would hide the machine's /dev, with /dev/shm in it, before init starts.
        "devtmpfs.mount=0",
        "panic=-1",
        "quiet",
        "norandmaps",
        f"uml_dir={place}/",
        "umid=guest",
        "init=/bin/sh",
        "--",
        str(place / "init"),
    ]


@contextlib.contextmanager
def running(
    kernel: GuestKernel, place: Path, output: int, *, virtual: bool, memory: int, seed: int | None, processor: int
) -> Iterator[Machine]:
    """Boot ``place``/init until the context is left, on the ``processor``-th of those there are, counted round.

    What its command prints goes to the descriptor ``output``, its errors to our stderr. With a
    ``seed`` its random numbers are the same each time, if the kernel is a seeded one. Raises GuestError
    if the kernel's program cannot be executed.
    """
    log = place / "kernel.log"
    scarce = _scarcity(place, memory)
    with contextlib.ExitStack() as held:
        heard, says = os.pipe()
        listens, told = os.pipe()
        held.callback(os.close, heard)
        held.callback(os.close, told)
        wires = Wires(_console(output, held), _console(2, held), listens, says)
        try:
            with log.open("wb") as kernel_log, _pinned(processor):
                process = _started(
                    arguments(kernel, place, wires, virtual=virtual, memory=memory),
                    stdout=kernel_log,
                    stderr=kernel_log,
                    pass_fds=astuple(wires),
                    env=os.environ | {"TMPDIR": str(place)} | ({} if seed is None else {seeding.VARIABLE: str(seed)}),
                )
        finally:
            # The guest's alone from here on: what copies to a terminal ends when they are closed.
            for fd in astuple(wires):
                os.close(fd)
        held.callback(_end, process)
        yield Machine(process, log, heard, told, scarce)


def _scarcity(place: Path, memory: int) -> str:
    """What to say of a folder that has less room than the memory that is to be in it, else nothing."""
    left = room.free(place)
    if left >= memory:
        return ""
    return (
        f"; its memory of {show_bytes(memory)} is a file on the file system at {room.mount_point(place)}, "
        f"where only {show_bytes(left)} were free: free some, or name another folder with TMPDIR"
    )


def _started(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    except OSError as error:
        why = f"{os.strerror(error.errno or 0).lower()}"
        if isinstance(error, PermissionError):
            why += " (is its file system mounted noexec? XDG_CACHE_HOME names another)"
        raise GuestError(f"the guest kernel {command[0]!r} cannot be executed: {why}") from None


@contextlib.contextmanager
def _pinned(processor: int) -> Iterator[None]:
    """Have what this thread starts run on one processor.

    A guest's kernel and its processes take turns, thousands of times a second. Between two processors each
    turn wakes one that sleeps, which takes four times as long as changing over on one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    # A container's filter may forbid it: then it is slower, no more.
    with contextlib.suppress(PermissionError):
        os.sched_setaffinity(0, {allowed[processor % len(allowed)]})
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setaffinity(0, allowed)


def _console(fd: int, copiers: contextlib.ExitStack) -> int:
    """A descriptor through which the guest writes to ours.

    Not a terminal, which the guest's kernel would set raw: deaf to Ctrl-C, and left so.
    """
    if not os.isatty(fd):
        return os.dup(fd)
    reads, writes = os.pipe()
    copier = subprocess.Popen(["/bin/cat"], stdin=reads, stdout=fd, start_new_session=True)
    os.close(reads)
    # It ends when the last writer does.
    copiers.callback(copier.wait)
    return writes


def _end(process: subprocess.Popen[bytes]) -> None:
    # First the kernel, which would take the sudden end of one of its processes for a fault and say so.
    process.kill()
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
