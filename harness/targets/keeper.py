"""Create a run's containers and remove them when it is over: ``python -P -m halfopen.targets.keeper``.

Containers are the engine's children, not ours. The kernel does not end them with the namespaces of a run. So a process
outside of those creates and starts them, and waits. The tool and all its forks hold the other end of the connection. It
ends however the tool ends, and then every container is removed.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from halfopen.errors import InputError, TargetError
from halfopen.netns.processes import HostProc
from halfopen.spawn.peers import Broken, Child, Parent, PeerLostError, Refused
from halfopen.targets.engine import engine

if TYPE_CHECKING:
    from docker.client import DockerClient

LABEL = "halfopen.run"
"""Label of each container; its value identifies the run."""
#: Seconds within which an engine must remove them all, and seconds between two tries.
_PATIENCE, _STEP = 60.0, 0.05


class MakeContainer(msgspec.Struct, frozen=True, tag=True):
    """Request to create a container."""

    image: str
    run: str
    command: list[str] | None = None
    """Replaces the image's own command, unless None."""
    environment: dict[str, str] = {}


class StartContainer(msgspec.Struct, frozen=True, tag=True):
    """Request to start a container.

    It is handled here too, so that no container is being started while it is removed, which engines handle badly.
    """

    id: str


Request = MakeContainer | StartContainer


class ContainerId(msgspec.Struct, frozen=True, tag=True):
    """The container of a request that was carried out."""

    id: str


class Keeper:
    """The tool's side: one call's containers, and the machine's processes, theirs included. Thread-safe."""

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
    assert _keeper is not None, "containers are made within halfopen.targets.keeper.keeping"
    return _keeper


def main() -> int:
    """Answer requests until the connection ends, then remove the containers."""
    made: list[str] = []
    parent = Parent(Request)
    while request := parent.receive():
        answer = _answer(request)
        made += [answer.id] if isinstance(answer, ContainerId) and isinstance(request, MakeContainer) else []
        parent.send(answer)
    try:
        _remove(made)
    except InputError as error:
        print(f"halfopen: containers are left behind (docker ps -a --filter label={LABEL}): {error}", file=sys.stderr)
        return 1
    return 0


def _answer(request: Request) -> ContainerId | Refused | Broken:
    try:
        with engine() as client:
            return _carried_out(request, client)
    except InputError as error:
        return Refused(str(error))
    except Exception as error:  # noqa: BLE001 (raised on the other side)
        # Containers made before are still to be removed.
        return Broken.by(error)


def _carried_out(request: Request, client: DockerClient) -> ContainerId | Refused:
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415 (an extra)
    from docker.types import LogConfig  # noqa: PLC0415

    try:
        if isinstance(request, StartContainer):
            client.api.start(request.id)
            return ContainerId(request.id)
        container = client.containers.create(
            request.image,
            command=request.command,
            environment=request.environment,
            labels={LABEL: request.run},
            network_mode="none",
            # Its output is read as it comes; the engine need not keep it in a file.
            log_config=LogConfig(type="none"),
        )
        return ContainerId(str(container.id))
    except DockerException as error:
        if isinstance(request, MakeContainer) and isinstance(error, ImageNotFound):
            return Refused(f"the engine has no image {request.image!r}; get it first: docker pull {request.image}")
        return Refused(told(error))


def told(error: Exception) -> str:
    """Return an error in the engine's own words, if it has any."""
    return str(getattr(error, "explanation", None) or error)


def _remove(made: list[str]) -> None:
    """Remove those that still exist, running or not; raises InputError for the first that stays."""
    if not made:
        return
    from docker.errors import APIError, NotFound  # noqa: PLC0415 (an extra)

    deadline = time.monotonic() + _PATIENCE
    with engine() as client:
        for container in made:
            with contextlib.suppress(NotFound):
                # Repeat until it is gone: an engine may be busy with it, and refuse at first.
                while True:
                    try:
                        client.api.remove_container(container, force=True, v=True)
                    except NotFound:
                        raise
                    except APIError as error:
                        if time.monotonic() >= deadline:
                            raise InputError(told(error)) from None
                    time.sleep(_STEP)


if __name__ == "__main__":
    sys.exit(main())
