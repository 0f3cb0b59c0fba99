"""A container image as the server under test. Its container has no network except the lab's."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from halfopen.errors import InputError, TargetError
from halfopen.model.journal import Journal
from halfopen.netns import capabilities
from halfopen.netns.lab import Lab
from halfopen.scenario.target_spec import TargetSpec, split
from halfopen.targets.base import Place, Site, Target
from halfopen.targets.command import RunningCommand, filled_in, output_notes
from halfopen.targets.container import Container, container
from halfopen.targets.engine import engine
from halfopen.targets.readiness import await_listening, said

#: All of the container's addresses: it starts before the lab's link gives it one.
_ANY = "0.0.0.0"
_STEP = 0.05
_HOW_TO_TELL = "name the port that it listens on with --port, or tell it {port} by --command or --env"


@dataclass(frozen=True, slots=True)
class RunningImage(RunningCommand):
    """A listening server in a container."""

    process: Container

    def paused(self, by: str) -> contextlib.AbstractContextManager[None]:
        """Suspend the container's processes until the context is left (halfopen.faults.pause)."""
        return self.process.stopped() if by == "sigstop" else self.process.paused()

    def show_stacks(self, _inode: int) -> None:
        """Send the container's first process the signal that makes it print its stacks."""
        if self.spec.stacks is not None:
            self.site.journal.note("target", "stacks_asked")
            self.process.signal(self.spec.stacks)
            self.await_stacks()


@dataclass(frozen=True, slots=True)
class ImageTarget(Target):
    """An image of the engine, and the command to run in it."""

    spec: TargetSpec

    @property
    def _image(self) -> str:
        assert self.spec.image is not None
        return self.spec.image

    def check(self) -> None:
        """Raise InputError if the engine, the image or a permission is missing, or the port is unknown."""
        if self.spec.command is not None:
            split(self.spec.command, "--command")
        if not capabilities.may_administer() or capabilities.in_new_user_namespace():
            raise InputError(
                "--image: needs root, because the lab enters the container's network namespace; run this with sudo, or "
                "start the server itself with --server"
            )
        self._port_of(self._inspected())

    def _inspected(self) -> dict[str, Any]:
        """Return the engine's description of the image; raises InputError if it has none."""
        # Imported inside engine(), which reports a missing extra.
        with engine() as client:
            from docker.errors import APIError, ImageNotFound  # noqa: PLC0415 (an extra)

            try:
                return dict(client.images.get(self._image).attrs)
            except ImageNotFound:
                raise InputError(
                    f"--image: the engine has no image {self._image!r}; get it first: docker pull {self._image}"
                ) from None
            except APIError as error:
                raise InputError(f"--image {self._image!r}: the engine says: {error.explanation or error}") from None

    @property
    def fixed_port(self) -> int | None:
        """The port given by the user, or else by the image."""
        return self._port_of(self._inspected())

    def _port_of(self, image: dict[str, Any]) -> int | None:
        """Return the port, or None if the container is told any; raises InputError if it is neither told nor known."""
        if self.spec.port is not None:
            return self.spec.port
        if any("{port}" in text for text in (self.spec.command or "", *self.spec.environment.values())):
            return None
        exposed = [name for name in (image.get("Config") or {}).get("ExposedPorts") or {} if name.endswith("/tcp")]
        if len(exposed) == 1:
            return int(exposed[0].partition("/")[0])
        which = f"exposes {len(exposed)} ports" if exposed else "exposes no port"
        raise InputError(f"--image: the image {self._image!r} {which}; {_HOW_TO_TELL}")

    def arguments(self) -> list[str]:
        """Return the options that were given."""
        return self.spec.arguments()

    def describe(self) -> dict[str, str]:
        """Return the fields for results.json."""
        return {"kind": "image", "image": self._image}

    @contextlib.contextmanager
    def placed(self, lab: Lab, name: str, port: int, journal: Journal) -> Iterator[Place]:
        """Start a container without a network. Its network namespace is the host, in which the lab's link will end."""
        blanks = {"{host}": _ANY, "{port}": str(port)}
        command = self.spec.command
        running = container(
            self._image,
            None if command is None else [filled_in(word, blanks) for word in split(command, "--command")],
            {key: filled_in(text, blanks) for key, text in self.spec.environment.items()},
            *output_notes(journal),
        )
        with running as one:
            namespace = one.network_namespace()
            try:
                host = lab.adopt(name, namespace)
            finally:
                os.close(namespace)
            yield Place(host, partial(self._start, one))

    @contextlib.contextmanager
    def _start(self, one: Container, site: Site) -> Iterator[RunningImage]:
        """Wait until it listens and, if its image has a health check, is healthy."""
        begun = time.monotonic()
        self._await_healthy(one, begun + site.ready_within, site.ready_within)
        await_listening(site, one, self._image, _HOW_TO_TELL, since=begun)
        yield RunningImage(one, site, None, self.spec)

    def _await_healthy(self, one: Container, deadline: float, ready_within: float) -> None:
        while True:
            status, output = one.health()
            if one.exit_code is not None or status in {None, "healthy", "none"}:
                return
            why = f"; its health check said: {output}" if output else ""
            if status == "unhealthy":
                raise TargetError(f"the container of {self._image!r} is unhealthy{why}{said(one)}")
            if time.monotonic() >= deadline:
                raise TargetError(
                    f"the container of {self._image!r} is not healthy after {ready_within:g}s; "
                    f"give it more time with --ready{why}{said(one)}"
                )
            time.sleep(_STEP)
