"""A container engine for the tests, and an image made of this machine's own Python and this project's source.

The engine that is there is used; where there is none, and root runs this, dockerd is started for as long as the tests
last: in network and mount namespaces of its own, with its files in a temporary folder, so that it changes nothing of
the machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import msgspec
import websockets

import halfopen
from halfopen.errors import InputError
from halfopen.targets.engine import engine
from halfopen.targets.keeper import LABEL
from tests.leftovers import MARK

IMAGE = "halfopen-test:latest"
#: Where Debian keeps it; not on every user's path.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_PATIENCE = 60.0
#: Of the standard library, what no server needs.
_UNNEEDED = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo"}
#: Of the image, as it is of this machine.
PYTHON = os.path.realpath(sys.executable)


def why_none() -> str | None:
    """Why there is no engine and none can be started; None if there is, or can."""
    with contextlib.suppress(InputError), engine():
        return None
    if os.geteuid():
        return "no container engine runs, and only root can start one for the tests"
    missing = [name for name in ("dockerd", "setpriv", "unshare") if not shutil.which(name, path=_PATH)]
    return f"no container engine runs, and {missing[0]} is not installed: scripts/packages dockerd" if missing else None


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The engine's address, for DOCKER_HOST."""
    with contextlib.suppress(InputError), engine():
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    with tempfile.TemporaryDirectory(prefix="halfopen-engine-") as folder, _dockerd(Path(folder)) as address:
        yield address


@contextlib.contextmanager
def _dockerd(folder: Path) -> Iterator[str]:
    address = f"unix://{folder}/docker.sock"
    command = [
        "setpriv",
        "--pdeathsig=TERM",
        "unshare",
        "--net",
        "--mount",
        "--propagation=private",
        "dockerd",
        f"--host={address}",
    ]
    command += [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    # In its own network namespace it could do no harm, and would need iptables and ip to find that out.
    command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    # It is none of the processes that a test may leave behind, and ends with us however we end.
    environment = {name: value for name, value in os.environ.items() if name != MARK} | {"PATH": _PATH}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _await_answer(folder / "docker.sock", process, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait()


def _await_answer(socket_file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        # Not yet by the SDK, which leaves a socket open for each that nobody answers.
        with socket.socket(socket.AF_UNIX) as trying, contextlib.suppress(OSError):
            trying.connect(str(socket_file))
            return
        time.sleep(0.05)
    raise AssertionError(f"dockerd does not come up:\n{log.read_text()}")


def containers(address: str, *, paused: bool = False) -> list[str]:
    """The ids of the containers of our runs that there are, running or not; or of those that are paused."""
    wanted = {"label": LABEL} | ({"status": "paused"} if paused else {})
    with contextlib.closing(docker.DockerClient(address)) as client:
        # Not client.containers.list, which looks again at each, and at one that is gone meanwhile in vain.
        return [str(one["Id"]) for one in client.api.containers(all=True, filters=wanted)]


@contextlib.contextmanager
def image(address: str) -> Iterator[str]:
    """The name of an image with this Python, this project and what its pod needs, at the same paths as here."""
    name, tag = IMAGE.split(":")
    with contextlib.closing(docker.DockerClient(address)) as client:
        changes = [f"ENV PYTHONPATH={_python_path()}"]
        client.api.import_image_from_data(_archive(), repository=name, tag=tag, changes=changes)
        try:
            yield IMAGE
        finally:
            client.images.remove(IMAGE)


@contextlib.contextmanager
def changed(address: str, tag: str, *changes: str) -> Iterator[str]:
    """The name of an image like that, but for ``changes``: instructions of a Dockerfile."""
    with contextlib.closing(docker.DockerClient(address)) as client:
        one = client.containers.create(IMAGE, command="none", network_mode="none")
        try:
            made = one.commit("halfopen-test", tag, changes=list(changes))
        finally:
            one.remove()
        try:
            yield f"halfopen-test:{tag}"
        finally:
            client.images.remove(str(made.id))


def _packages() -> list[Path]:
    return [Path(module.__path__[0]) for module in (halfopen, msgspec, websockets)]


def _python_path() -> str:
    return ":".join(dict.fromkeys(str(package.parent) for package in _packages()))


def _archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        library = Path(sysconfig.get_paths()["stdlib"])
        modules = [str(module) for module in library.glob("lib-dynload/*.so")]
        for path in dict.fromkeys([PYTHON, *_libraries(PYTHON, *modules)]):
            archive.add(path)
        archive.add(library, filter=_needed)
        for package in _packages():
            archive.add(package)
    return packed.getvalue()


def _needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(Path(entry.name).parts)
    return None if parts & _UNNEEDED or "/config-" in entry.name or ".opt-" in entry.name else entry


def _libraries(*files: str) -> list[str]:
    """The shared libraries that files are linked with, the loader among them (ldd(1))."""
    told = subprocess.run(["ldd", *files], check=True, capture_output=True, text=True).stdout
    return [word for line in told.splitlines() for word in line.split() if word.startswith("/") and word[-1] != ":"]
