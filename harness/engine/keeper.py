"""Makes the containers of a run and removes them when it is over: ``python -P -m harness.engine.keeper SOCKET``.

Containers are the engine's children, not ours: the kernel does not end them with the namespaces of a run. So a process
outside of those has them made and waits. SOCKET is the number of a descriptor of which the tool and all that it forks
hold the other end. Each line asks for one container (Request) and is answered by one (Answer). The end of the stream,
which comes however the tool ends, is the end of every container that was made. See harness.engine.keeping for the other
side.
"""

from __future__ import annotations

import contextlib
import socket
import sys

import msgspec

from harness.engine.connecting import engine
from harness.errors import InputError

LABEL = "halfopen.run"
"""Of each container; its value is the run's."""


class Request(msgspec.Struct, frozen=True):
    """A container to make, and not to start."""

    image: str
    run: str
    command: list[str] | None = None
    """In place of the image's own; None: that."""
    environment: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """The container's id, or why there is none."""

    id: str = ""
    error: str = ""


def main(asked: socket.socket) -> int:
    """Answer requests until there are no more, then remove what was made."""
    made: list[str] = []
    try:
        with asked.makefile("rwb") as stream:
            # A tool that is killed between its question and our answer is no longer there to hear it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for line in stream:
                    answer = _make(msgspec.json.decode(line, type=Request))
                    made += [answer.id] if answer.id else []
                    stream.write(msgspec.json.encode(answer) + b"\n")
                    stream.flush()
            _remove(made)
    except InputError as error:
        print(f"halfopen: containers may be left behind (docker ps --filter label={LABEL}): {error}", file=sys.stderr)
        return 1
    return 0


def _make(request: Request) -> Answer:
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
                # What it prints is read as it comes; nobody will read it from a file of the engine's.
                log_config=LogConfig(type="none"),
            )
            return Answer(id=str(container.id))
    except ImageNotFound:
        return Answer(error=f"the engine has no image {request.image!r}; get it first: docker pull {request.image}")
    except (InputError, DockerException) as error:
        return Answer(error=str(error))


def _remove(made: list[str]) -> None:
    """Remove those that are still there, running or not."""
    if not made:
        return
    from docker.errors import NotFound  # noqa: PLC0415 (an extra)

    with engine() as client:
        for container in made:
            with contextlib.suppress(NotFound):
                client.api.remove_container(container, force=True, v=True)


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
