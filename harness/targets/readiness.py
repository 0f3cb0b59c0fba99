"""Wait until something listens on a server's port, reachable for clients, and explain a failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from halfopen.errors import TargetError, quoted
from halfopen.netns.host import Host
from halfopen.netns.sockets import Address
from halfopen.spawn.process import OnLine, Process, Program, running
from halfopen.targets.base import ServerProcess, Site

_STEP = 0.02
_USE_PORT = "use {port} in the command"


@contextlib.contextmanager
def listening(
    site: Site, program: Program, on_line: OnLine, on_error: OnLine | None = None, *, alone: bool = False
) -> Iterator[Process]:
    """Run ``program`` and wait until something listens on the site's port; raises TargetError.

    The other parameters are those of halfopen.spawn.process.running.
    """
    shown = " ".join(program.words)
    with contextlib.ExitStack() as until_done:
        try:
            process = until_done.enter_context(
                running(site.host, program, on_line, on_error, keep_open=site.keep_open, alone=alone)
            )
        except FileNotFoundError as error:
            raise TargetError(f"cannot start the server: no such program: {error.filename!r}, in {shown!r}") from None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise TargetError(f"cannot start the server: {program.words[0]!r}: {why}, in {shown!r}") from None
        await_listening(site, process, shown)
        yield process


def await_listening(
    site: Site, process: ServerProcess, shown: str, advice: str = _USE_PORT, since: float | None = None
) -> None:
    """Wait until something listens on the site's port, reachable for clients; raises TargetError.

    ``shown`` is the started program and ``advice`` the way to set its port. Its time counts from ``since``.
    """
    deadline = (time.monotonic() if since is None else since) + site.ready_within
    addresses = listeners(site.host, site.port, process, deadline)
    if not addresses:
        problem = _not_ready(site, shown, advice) if process.exit_code is None else _ended(site, process, shown)
        raise TargetError(problem + said(process))
    with contextlib.closing(site.host.socket_reader()) as reader:
        if reader.refuses_ipv4(site.port):
            raise TargetError(
                f"the server listens on {addresses[0]} for IPv6 only, and the lab's clients come over IPv4: {shown!r}; "
                "have it listen on {host}"
            )
    if all(address.ip.startswith("127.") or address.ip == "::1" for address in addresses):
        raise TargetError(
            f"the server listens on {addresses[0]} only, where no client reaches it: {shown!r}; "
            "use {host} in the command"
        )


def _ended(site: Site, process: ServerProcess, shown: str) -> str:
    if not process.exit_code and (left := site.host.processes()):
        return (
            f"the server's command ended and left {len(left)} process{'es' * (len(left) > 1)} behind before anything "
            f"listened: {shown!r}; give it the option that keeps it in the foreground"
        )
    return f"the server ended with exit code {process.exit_code} before it listened: {shown!r}"


def _not_ready(site: Site, shown: str, advice: str) -> str:
    with contextlib.closing(site.host.socket_reader()) as reader:
        elsewhere = sorted({listener.local.port for listener in reader.listeners()})
    others = f", but on port {', '.join(map(str, elsewhere))}" if elsewhere else ""
    return (
        f"the server does not listen on port {site.port} after {site.ready_within:g}s{others}: "
        f"{shown!r}; {advice}, or give it more time with --ready"
    )


def listeners(host: Host, port: int, process: ServerProcess, deadline: float) -> list[Address]:
    """Wait until something listens on a port of the host, and return its addresses.

    Returns none if the process ends before, or the monotonic clock reaches ``deadline``.
    """
    with contextlib.closing(host.socket_reader()) as reader:
        while not (found := reader.listeners(port)):
            if process.exit_code is not None or time.monotonic() >= deadline:
                return []
            time.sleep(_STEP)
    return [listener.local for listener in found]


def said(process: ServerProcess) -> str:
    """Return a process's last output, as the end of an error."""
    return quoted(process.last_lines())
