"""Find the container engine with the docker SDK, an extra, or report in one line why there is none."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from halfopen.errors import InputError

if TYPE_CHECKING:
    from docker.client import DockerClient

#: Its default socket, and the variable that overrides it (docker(1)).
_SOCKET = "/var/run/docker.sock"
_VARIABLE = "DOCKER_HOST"
_SCHEME = "unix://"


@contextlib.contextmanager
def engine() -> Iterator[DockerClient]:
    """Connect to the engine, for use by one thread only; raises InputError if there is none."""
    try:
        import docker  # noqa: PLC0415 (an extra)
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError:
        raise InputError("--image needs the docker package; install it with: pip install 'halfopen[docker]'") from None
    path = _path(os.environ.get(_VARIABLE) or f"{_SCHEME}{_SOCKET}")
    _require_listener(path)
    try:
        client = docker.DockerClient(base_url=f"{_SCHEME}{path}")
    except DockerException as error:
        raise InputError(f"what listens at {path} does not answer as a container engine does: {error}") from None
    with contextlib.closing(client):
        yield client


def _path(url: str) -> str:
    """Return the path of the engine's socket."""
    scheme, _, path = url.partition(_SCHEME)
    if scheme or not path.startswith("/"):
        raise InputError(
            f"{_VARIABLE} is {url!r}, but the engine must be on this machine, since a link of the lab leads into its "
            f"container: name its socket, as in {_VARIABLE}={_SCHEME}{_SOCKET}"
        )
    return path


def _require_listener(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as trying:
        try:
            trying.connect(path)
        except FileNotFoundError:
            why = f"there is no socket {path}; start one (systemctl start docker), or name its socket in {_VARIABLE}"
        except PermissionError:
            why = f"this user may not use {path}; become root"
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            why = f"nobody answers at {path} ({reason}); start one (systemctl start docker)"
        else:
            return
    raise InputError(f"--image needs a container engine: {why}")
