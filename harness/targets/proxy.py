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
from halfopen.model.printed_stacks import TIME_OF_DAY
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address
from halfopen.scenario.spec import Edge
from halfopen.spawn.process import Program, running
from halfopen.targets.readiness import listeners, said

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
    with tempfile.TemporaryDirectory(prefix="halfopen-edge-") as folder:
        file = Path(folder, "config")
        file.write_text(edge.module.config(listen, upstream, Path(folder)))
        command = edge.module.command(find_program(edge) or edge.module.PROGRAM, file)

        def note(line: str) -> None:
            # Without the time of day, so that equal runs have equal timelines.
            journal.note("edge", "output", text=TIME_OF_DAY.sub("", line), proxy=edge.proxy)

        proxy_process = running(host, Program(command), note, note, keep_open=keep_open)
        with proxy_process as process:
            if not listeners(host, listen.port, process, time.monotonic() + _READY_WITHIN):
                code = process.exit_code
                problem = f"was silent for {_READY_WITHIN:g}s" if code is None else f"ended with exit code {code}"
                raise TargetError(f"the proxy {edge.proxy!r} {problem} before it listened{said(process)}")
            yield
