"""Run a proxy in a host until it is no longer needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from halfopen.errors import TargetError
from halfopen.model.journal import Journal
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address
from halfopen.scenario.spec import Edge
from halfopen.spawn.process import Process, Program, running

_STEP = 0.02
_READY_WITHIN = 30.0
#: Debian's folders of servers, which are not on every user's path.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def find_program(edge: Edge) -> str | None:
    """Return the path of the proxy's program; None if it is not installed."""
    name: str = edge.module.PROGRAM
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


@contextlib.contextmanager
def proxy(
    edge: Edge, host: Host, listen: Address, upstream: Address, journal: Journal, keep_open: Sequence[Host]
) -> Iterator[None]:
    """Run the proxy in ``host`` until the context is left; raises TargetError if it does not listen."""

    def on_line(line: str) -> None:
        journal.note("edge", "output", text=line)

    with tempfile.TemporaryDirectory(prefix="halfopen-edge-") as folder:
        file = Path(folder, "config")
        file.write_text(edge.module.config(listen, upstream, Path(folder)))
        command = edge.module.command(find_program(edge) or edge.module.PROGRAM, file)
        with running(host, Program(command), on_line, keep_open=keep_open) as process:
            _await_listening(edge, host, listen, process)
            yield


def _await_listening(edge: Edge, host: Host, listen: Address, process: Process) -> None:
    until = time.monotonic() + _READY_WITHIN
    with contextlib.closing(host.socket_reader()) as reader:
        while not reader.listening(listen.port):
            if process.exit_code is not None or time.monotonic() >= until:
                code = process.exit_code
                ended = f"ended with exit code {code}" if code is not None else f"is silent after {_READY_WITHIN:g}s"
                raise TargetError(f"the proxy {edge.proxy!r} {ended} before it listened; it said: {process.tail()}")
            time.sleep(_STEP)
