"""The client of halfopen.targets.keeper. Enter it before a run's namespaces, and use it inside them."""

from __future__ import annotations

import contextlib
import io
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec

from halfopen.errors import TargetError
from halfopen.netns.processes import HostProc
from halfopen.targets.keeper import KeeperAnswer, MakeContainer, Request, StartContainer

_LONGEST_ANSWER = 1 << 16


class Keeper:
    """The containers of one call, and access to the machine's processes, theirs included. Thread-safe."""

    def __init__(self, asking: io.BufferedRWPair, outside: HostProc) -> None:
        self.outside = outside
        self._stream = asking
        self._lock = threading.Lock()
        self._run = secrets.token_hex(8)

    def make(self, image: str, command: list[str] | None, environment: dict[str, str]) -> str:
        """Return the id of a new container without a network, not yet started; raises TargetError."""
        answer = self._ask(MakeContainer(image, self._run, command, environment))
        if answer.error:
            raise TargetError(f"cannot make a container of image {image!r}: {answer.error}")
        return answer.id

    def start(self, container: str) -> None:
        """Start a container; raises TargetError if it has no such command, or it may not be run."""
        answer = self._ask(StartContainer(container))
        if answer.error:
            raise TargetError(f"cannot start the container: {answer.error}")

    def _ask(self, request: Request) -> KeeperAnswer:
        try:
            with self._lock:
                self._stream.write(msgspec.json.encode(request) + b"\n")
                self._stream.flush()
                line = self._stream.readline(_LONGEST_ANSWER)
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line:
            raise TargetError("the process that keeps the containers (halfopen.targets.keeper) ended before its time")
        return msgspec.json.decode(line, type=KeeperAnswer)


#: Global, as is the starter of processes (halfopen.spawn.process).
_keeper: Keeper | None = None


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Run a keeper until the context is left; it then removes every container created.

    Enter this outside of the run's namespaces. The keeper must outlive them.
    """
    global _keeper  # noqa: PLW0603
    ours, theirs = socket.socketpair()
    with ours, HostProc() as outside:
        with theirs:
            # In a session of its own, so that a stop from the terminal does not end it.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "halfopen.targets.keeper", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        # Left last: waits until the keeper has finished.
        with process, ours.makefile("rwb") as stream:
            try:
                _keeper = Keeper(stream, outside)
                yield
            finally:
                _keeper = None
                # Closing would not end the stream while a process forked meanwhile lives on.
                ours.shutdown(socket.SHUT_RDWR)


def keeper() -> Keeper:
    """Return the active keeper."""
    assert _keeper is not None, "containers are made within halfopen.targets.keeping.keeping"
    return _keeper
