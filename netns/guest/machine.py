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
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from halfopen.netns.guest import cache, memory_dir, script
from halfopen.netns.guest.patches import seeding
from halfopen.netns.guest.script import Boot
from halfopen.netns.lab_errors import GuestError
from halfopen.netns.units import show_bytes

#: The kernel's message when memory runs out (mm/oom_kill.c).
_OUT_OF_MEMORY = re.compile(r"Out of memory: Killed process \d+ \((.*?)\)")
_EXITED = re.compile(rf"^{script.EXIT} (\d+)\n".encode(), re.MULTILINE)
#: First version that can control its processes by seccomp filters instead of ptrace.
_HAS_SECCOMP = [6, 16]


@dataclass(slots=True)
class Machine:
    """A running guest."""

    process: subprocess.Popen[bytes]
    log: Path
    """Messages of the kernel itself."""
    from_guest: int
    """Descriptor of the line that the guest writes to."""
    to_guest: int
    """Descriptor of the line that the guest reads."""
    scarce: str = ""
    """Likely reason of its end, if its folder had too little space for its memory."""
    _received: bytes = b""

    def exit_code(self, until: float) -> int:
        """Wait for the command's exit code.

        Raises TimeoutError when the monotonic clock shows ``until``, EOFError if the guest ends without one.
        """
        while not (exited := _EXITED.search(self._received)):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.from_guest], [], [], left)[0]:
                raise TimeoutError
            # At the end of the other side, a terminal reports EIO, and a pipe returns an empty read.
            if not self._receive():
                raise EOFError
        return int(exited[1])

    def has_ended(self) -> bool:
        """True once the command has exited or the guest has ended; waits until the guest says anything."""
        return not self._receive() or _EXITED.search(self._received) is not None

    def listens(self) -> bool:
        """True once the guest has booted far enough to forward signals to its command."""
        if select.select([self.from_guest], [], [], 0)[0]:
            self._receive()
        return script.LISTENING.encode() in self._received

    def _receive(self) -> bytes:
        piece = os.read(self.from_guest, 100)
        self._received += piece
        return piece

    def signal(self, name: str) -> None:
        """Send the command a signal: ``"INT"``. A guest that does not listen yet may miss it."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.to_guest, f"{name}\n".encode())

    def killed_for_memory(self) -> str | None:
        """Return the name of the process that the guest's kernel killed when memory ran out; None if it killed none."""
        killed = _OUT_OF_MEMORY.search(self.log.read_text(errors="replace"))
        return killed and killed[1]

    def last_words(self) -> str:
        """Return the reason why the kernel ended by itself."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        panics = [line for line in lines if "Kernel panic" in line]
        if panics:
            return f"the guest kernel panicked: {panics[0].partition('Kernel panic - ')[2]}"
        # If its memory file cannot grow, it dies by SIGBUS without a message.
        return f"the guest kernel ended before its command did{f': {lines[-1]}' if lines else self.scarce}"


class Consoles(NamedTuple):
    """File descriptors that a guest's consoles write to and read from."""

    out: int
    err: int
    line_in: int
    line_out: int


def arguments(boot: Boot, place: Path, consoles: Consoles) -> list[str]:
    """Return the command that boots ``place``/init (Documentation/admin-guide/kernel-parameters.txt and arch/um)."""
    return [
        str(boot.kernel.program),
        f"mem={boot.memory >> 20}M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        *(["time-travel=inf-cpu", f"time-travel-start={seeding.EPOCH_NS}"] if boot.virtual else []),
        # Faster than ptrace, if the machine allows it (arch/um/os-Linux/start_up.c).
        *(["seccomp=auto"] if cache.numbers(boot.kernel.version) >= _HAS_SECCOMP else []),
        "con=null",
        f"con0=null,fd:{consoles.out}",
        f"con1=null,fd:{consoles.err}",
        f"con2=fd:{consoles.line_in},fd:{consoles.line_out}",
        # Keeps the kernel's messages out of the command's output.
        "con3=null,fd:1",
        "console=tty3",
        # A kernel that mounts it by itself would hide the machine's /dev, including /dev/shm, before init starts.
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
def running(boot: Boot, place: Path, output: int) -> Iterator[Machine]:
    """Boot ``place``/init until the context is left.

    Its command's output goes to the descriptor ``output``, its errors to our stderr. With a ``seed`` a seeded kernel
    draws the same random numbers each time. Raises GuestError if the kernel's program cannot be executed.
    """
    log = place / "kernel.log"
    left = memory_dir.free(place)
    scarce = (
        f"; its memory of {show_bytes(boot.memory)} is a file on the file system at {memory_dir.mount_point(place)}, "
        f"where only {show_bytes(left)} were free: free some, or name another folder with TMPDIR"
    )
    with contextlib.ExitStack() as held:
        from_guest, line_out = os.pipe()
        line_in, to_guest = os.pipe()
        held.callback(os.close, from_guest)
        held.callback(os.close, to_guest)
        consoles = Consoles(_console(output, held), _console(2, held), line_in, line_out)
        seed = {} if boot.seed is None else {seeding.VARIABLE: str(boot.seed)}
        try:
            with log.open("wb") as kernel_log, _pinned(boot.processor):
                process = _execute(
                    boot, arguments(boot, place, consoles), kernel_log, consoles, seed | {"TMPDIR": str(place)}
                )
        finally:
            # From here on only the guest holds them: the copiers to a terminal end when they are closed.
            for fd in consoles:
                os.close(fd)
        held.callback(_end, process)
        yield Machine(process, log, from_guest, to_guest, scarce if left < boot.memory else "")


def _execute(
    boot: Boot, command: list[str], log: BinaryIO, consoles: Consoles, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=consoles,
            env=os.environ | environment,
            start_new_session=True,
        )
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        if isinstance(error, PermissionError):
            why += " (is its file system mounted noexec? XDG_CACHE_HOME names another)"
        raise GuestError(f"the guest kernel {str(boot.kernel.program)!r} cannot be executed: {why}") from None


@contextlib.contextmanager
def _pinned(processor: int) -> Iterator[None]:
    """Run the programs that this thread starts on one processor.

    A guest's kernel and its processes take turns, thousands of times a second. Between two processors each turn has to
    wake a sleeping one, which takes four times as long as a switch on one processor.
    """
    allowed = sorted(os.sched_getaffinity(0))
    # A container's filter may forbid it; then it is only slower.
    with contextlib.suppress(PermissionError):
        os.sched_setaffinity(0, {allowed[processor % len(allowed)]})
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.sched_setaffinity(0, allowed)


def _console(fd: int, copiers: contextlib.ExitStack) -> int:
    """Return a descriptor through which the guest writes to ours.

    It must not be a terminal. The guest's kernel would set that to raw mode, deaf to Ctrl-C, and leave it so.
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
    # Kill the kernel first. Otherwise it would report the sudden end of one of its processes as a fault.
    process.kill()
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
