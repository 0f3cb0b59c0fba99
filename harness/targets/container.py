"""One container of a run, seen from inside the run's namespaces: its output, its end, and actions on it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from halfopen.errors import FaultError, TargetError, quoted
from halfopen.netns.lab_errors import LabError
from halfopen.spawn.process import OnLine, Output
from halfopen.targets.engine import engine
from halfopen.targets.keeper import keeper, told

if TYPE_CHECKING:
    from docker.client import DockerClient
    from docker.models.containers import Container as Handle

#: Longest wait for the events of a container's end, seconds.
_PATIENCE = 5.0
_STEP = 0.02


class Container:
    """A created container, not yet started."""

    def __init__(self, client: DockerClient, identity: str, on_line: OnLine, on_error: OnLine) -> None:
        from docker.errors import APIError  # noqa: PLC0415 (an extra)

        self._api_error = APIError
        self._handle: Handle = client.containers.get(identity)
        self._exit_code: int | None = None
        (out, self._out), (err, self._err) = os.pipe(), os.pipe()
        self._output = Output((os.fdopen(out, "rb"), on_line), (os.fdopen(err, "rb"), on_error))
        self._watchers: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """Always raises FaultError: a container has no process id that is valid in the lab."""
        raise FaultError("a fault acts on the server's process, which is in a container that the lab cannot reach")

    @property
    def exit_code(self) -> int | None:
        """The exit code (128 and the signal that killed it); None while it runs and until all its output is read."""
        code = self._exit_code
        return code if code is None or self._output.has_told() else None

    def tail(self, lines: int = 1) -> str:
        """Return the last non-blank lines of its output as one, with a bar between them; for errors."""
        return self._output.tail(lines)

    def last_lines(self) -> list[str]:
        """Return the last lines of its output."""
        return self._output.last_lines()

    def start(self) -> None:
        """Start its command; raises TargetError if the image has no such command, or it may not be run."""
        said = self._handle.attach(stream=True, demux=True)
        passing_on = self._watch(lambda: self._pass_on(said))
        keeper().start(str(self._handle.id))
        self._watch(lambda: self._await_end(passing_on))

    def network_namespace(self) -> int:
        """Return a descriptor of its network namespace; raises TargetError if it is out of reach or has ended."""
        deadline = time.monotonic() + _PATIENCE
        while (state := self._state())["Running"]:
            try:
                return keeper().outside.network_namespace(state["Pid"], str(self._handle.id))
            except LabError as error:
                # Its process may just have ended, and the engine not know yet.
                if time.monotonic() >= deadline:
                    raise TargetError(
                        f"the container's network is out of reach: {error}; the engine and halfopen must run on one "
                        "machine, neither of them in a container"
                    ) from None
            time.sleep(_STEP)
        self.wait_for_end()
        said = quoted(self.last_lines())
        raise TargetError(f"the container ended with exit code {self.exit_code} before anything listened{said}")

    def health(self) -> tuple[str | None, str]:
        """Return the status of the image's health check (None if it has none) and the output of the check's last run.

        ``starting``, ``healthy`` or ``unhealthy`` (Dockerfile reference, HEALTHCHECK).
        """
        health = self._state().get("Health") or {}
        log = health.get("Log") or [{}]
        return health.get("Status"), " ".join(str(log[-1].get("Output", "")).split())

    def signal(self, name: str) -> None:
        """Send a signal to its first process; do nothing if that is gone."""
        with contextlib.suppress(self._api_error):
            self._handle.kill(signal=name)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have the engine freeze all its processes (cgroups(7), freezer); raises FaultError if it cannot."""
        try:
            self._handle.pause()
        except self._api_error as error:
            raise FaultError(f"the engine cannot pause the container: {told(error)}") from None
        try:
            if not self._state()["Paused"]:
                raise FaultError("the engine reports that the container is not paused")
            yield
        finally:
            with contextlib.suppress(self._api_error):
                self._handle.unpause()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop its first process (SIGSTOP); raises FaultError if the kernel does not report it as stopped."""
        pid, deadline = self._state()["Pid"], time.monotonic() + _PATIENCE
        self.signal("SIGSTOP")
        try:
            while not keeper().outside.is_stopped(pid, str(self._handle.id)):
                if time.monotonic() >= deadline:
                    raise FaultError("the container's first process did not stop")
                time.sleep(_STEP)
            yield
        finally:
            self.signal("SIGCONT")

    def wait_for_end(self) -> None:
        """Wait until its exit code is known and its output is read."""
        deadline = time.monotonic() + _PATIENCE
        while self._exit_code is None and time.monotonic() < deadline:
            time.sleep(_STEP)
        self._output.finish()

    def remove(self) -> None:
        """Remove it, running or not, and wait until its output is read."""
        # If the engine is too busy now, the keeper removes it in the end.
        with contextlib.suppress(self._api_error):
            self._handle.remove(force=True, v=True)
        for watcher in self._watchers:
            watcher.join(_PATIENCE)
        if not self._watchers:
            self._close()
        self._output.finish()

    def _state(self) -> dict[str, Any]:
        self._handle.reload()
        state: dict[str, Any] = self._handle.attrs["State"]
        return state

    def _watch(self, work: Callable[[], None]) -> threading.Thread:
        watcher = threading.Thread(target=work, daemon=True)
        self._watchers.append(watcher)
        watcher.start()
        return watcher

    def _pass_on(self, said: Any) -> None:
        """Pass the output that the engine streams to the line readers, until it ends."""
        try:
            for out, err in said:
                for data, end in ((out, self._out), (err, self._err)):
                    if data:
                        os.write(end, data)
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._out)
        os.close(self._err)

    def _await_end(self, passing_on: threading.Thread) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 (an extra)
        from requests import RequestException  # noqa: PLC0415

        # An engine that ends, or removes the container, reports no code.
        with contextlib.suppress(DockerException, RequestException), engine() as client:
            ended = client.api.wait(str(self._handle.id), timeout=None)
            passing_on.join(_PATIENCE)
            self._exit_code = int(ended["StatusCode"])


@contextlib.contextmanager
def container(
    image: str, command: list[str] | None, environment: dict[str, str], on_line: OnLine, on_error: OnLine
) -> Iterator[Container]:
    """Run a container until the context is left; raises TargetError.

    ``on_line`` is called with each line of its output, ``on_error`` with each of its standard error.
    """
    identity = keeper().make(image, command, environment)
    with engine() as client:
        one = Container(client, identity, on_line, on_error)
        try:
            one.start()
            yield one
        finally:
            one.remove()
