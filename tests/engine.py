"""A container engine for the tests, and an image of this machine's Python and this project's source.

A running engine is used. Otherwise root starts dockerd for the duration of the tests. It runs in its own network and
mount namespaces, with its files in a temporary folder, so it changes nothing on the machine.
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
#: Debian installs dockerd here. Not every user's PATH has it.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_PATIENCE = 60.0
#: Parts of the standard library that no server needs.
_UNNEEDED = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo"}
#: The image's Python, which is this machine's.
PYTHON = os.path.realpath(sys.executable)


def why_none() -> str | None:
    """Return why no engine runs or can be started; None if one does or can."""
    with contextlib.suppress(InputError), engine():
        return None
    if os.geteuid():
        return "no container engine runs, and only root can start one for the tests"
    missing = [name for name in ("dockerd", "setpriv", "unshare") if not shutil.which(name, path=_PATH)]
    return f"no container engine runs, and {missing[0]} is not installed: scripts/packages dockerd" if missing else None


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run an engine, or use the running one. Yield its address for DOCKER_HOST."""
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
    # In its own network namespace dockerd could do no harm, and it would need iptables and ip to set these up.
    command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    # Without the mark it does not count as a test's leftover. It ends with us however we end.
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
        # Not with the SDK yet: it leaves a socket open for each attempt that nobody answers.
        with socket.socket(socket.AF_UNIX) as trying, contextlib.suppress(OSError):
            trying.connect(str(socket_file))
            return
        time.sleep(0.05)
    raise AssertionError(f"dockerd does not come up:\n{log.read_text()}")


def containers(address: str, *, paused: bool = False) -> list[str]:
    """Return the ids of our runs' containers, running or not, or only of the paused ones."""
    wanted = {"label": LABEL} | ({"status": "paused"} if paused else {})
    with contextlib.closing(docker.DockerClient(address)) as client:
        # Not client.containers.list: it inspects each container again, and fails for one that has just gone.
        return [str(one["Id"]) for one in client.api.containers(all=True, filters=wanted)]


@contextlib.contextmanager
def image(address: str) -> Iterator[str]:
    """Build an image with this Python, this project and the pod's dependencies, at the same paths. Yield its name."""
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
    """Build an image like that with ``changes``, instructions of a Dockerfile. Yield its name."""
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
    """Return the shared libraries that the files are linked with, including the loader (ldd(1))."""
    told = subprocess.run(["ldd", *files], check=True, capture_output=True, text=True).stdout
    return [word for line in told.splitlines() for word in line.split() if word.startswith("/") and word[-1] != ":"]
