"""The client of halfopen.targets.keeper. Enter it before a run's namespaces, and use it inside them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from halfopen.errors import TargetError
from halfopen.netns.host_proc import HostProc
from halfopen.spawn.peers import Child, PeerLostError, Refused
from halfopen.targets.keeper import ContainerId, MakeContainer, Request, StartContainer


class Keeper:
    """The containers of one call, and access to the machine's processes, theirs included. Thread-safe."""

    def __init__(self, child: Child, outside: HostProc) -> None:
        self.outside = outside
        self._child = child
        self._run = secrets.token_hex(8)

    def make(self, image: str, command: list[str] | None, environment: dict[str, str]) -> str:
        """Return the id of a new container without a network, not yet started; raises TargetError."""
        return self._ask(
            MakeContainer(image, self._run, command, environment), f"cannot make a container of image {image!r}"
        )

    def start(self, container: str) -> None:
        """Start a container; raises TargetError if it has no such command, or it may not be run."""
        self._ask(StartContainer(container), "cannot start the container")

    def _ask(self, request: Request, problem: str) -> str:
        try:
            answer: ContainerId | Refused = self._child.ask(request)
        except PeerLostError:
            raise TargetError(
                "the process that keeps the containers (halfopen.targets.keeper) ended before its time"
            ) from None
        if isinstance(answer, Refused):
            raise TargetError(f"{problem}: {answer.why}")
        return answer.id


#: Global, as is the starter of processes (halfopen.spawn.process).
_keeper: Keeper | None = None


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Run a keeper until the context is left; it then removes every container created.

    Enter this outside of the run's namespaces. The keeper must outlive them.
    """
    global _keeper  # noqa: PLW0603
    with HostProc() as outside:
        child = Child("halfopen.targets.keeper", ContainerId | Refused, keeps_errors=False)
        try:
            _keeper = Keeper(child, outside)
            yield
        finally:
            _keeper = None
            # However long the keeper takes to remove the containers.
            child.close(patience=None)


def keeper() -> Keeper:
    """Return the active keeper."""
    assert _keeper is not None, "containers are made within halfopen.targets.keeping.keeping"
    return _keeper
