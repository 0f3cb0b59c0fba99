"""Create a run's containers and remove them when it is over: ``python -P -m halfopen.targets.keeper SOCKET``.

Containers are the engine's children, not ours. The kernel does not end them with the namespaces of a run. So a process
outside of those creates and starts them, and waits. SOCKET is the number of a descriptor; the tool and all its forks
hold the other end. Each line is a Request and gets an Answer. The stream ends however the tool ends, and then every
container is removed. See halfopen.targets.keeping for the other side.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import msgspec

from halfopen.errors import InputError
from halfopen.targets.engine import engine

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


class KeeperAnswer(msgspec.Struct, frozen=True):
    """The container's id, or the reason of a failure."""

    id: str = ""
    error: str = ""


def main(asked: socket.socket) -> int:
    """Answer requests until the stream ends, then remove the containers."""
    made: list[str] = []
    try:
        _serve(asked, made)
        _remove(made)
    except InputError as error:
        print(f"halfopen: containers are left behind (docker ps -a --filter label={LABEL}): {error}", file=sys.stderr)
        return 1
    return 0


def _serve(asked: socket.socket, made: list[str]) -> None:
    # A tool that is killed between its request and our answer no longer reads it.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError), asked.makefile("rwb") as stream:
        for line in stream:
            request = msgspec.json.decode(line, type=Request)
            answer = _make(request) if isinstance(request, MakeContainer) else _start(request)
            made += [answer.id] if answer.id and isinstance(request, MakeContainer) else []
            stream.write(msgspec.json.encode(answer) + b"\n")
            stream.flush()


def _make(request: MakeContainer) -> KeeperAnswer:
    from docker.errors import DockerException, ImageNotFound  # noqa: PLC0415 (an extra)
    from docker.types import LogConfig  # noqa: PLC0415

    try:
        with engine() as client:
            container = client.containers.create(
                request.image,
                command=request.command,
                environment=request.environment,
                labels={LABEL: request.run},
                network_mode="none",
                # Its output is read as it comes; the engine need not keep it in a file.
                log_config=LogConfig(type="none"),
            )
            return KeeperAnswer(id=str(container.id))
    except ImageNotFound:
        return KeeperAnswer(
            error=f"the engine has no image {request.image!r}; get it first: docker pull {request.image}"
        )
    except (InputError, DockerException) as error:
        return KeeperAnswer(error=told(error))


def _start(request: StartContainer) -> KeeperAnswer:
    from docker.errors import DockerException  # noqa: PLC0415 (an extra)

    try:
        with engine() as client:
            client.api.start(request.id)
            return KeeperAnswer(id=request.id)
    except (InputError, DockerException) as error:
        return KeeperAnswer(error=told(error))


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
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
