"""A container image as the server under test: its container has no network but the lab's."""

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
from halfopen.targets.base import Place, Site
from halfopen.targets.command import RunningCommand, filled_in
from halfopen.targets.container import Container, container
from halfopen.targets.engine import engine
from halfopen.targets.readiness import await_listening

#: All of the container's addresses: it starts before the lab's link gives it one.
_ANY = "0.0.0.0"
_STEP = 0.05
_HOW_TO_TELL = "name the port that it listens on with --port, or tell it {port} by --command or --env"


@dataclass(frozen=True, slots=True)
class RunningImage(RunningCommand):
    """A server in a container that listens."""

    container: Container | None = None

    def paused(self, by: str) -> contextlib.AbstractContextManager[None]:
        """Keep the container's processes from running until the context is left (halfopen.faults.pause)."""
        assert self.container is not None
        return self.container.stopped() if by == "sigstop" else self.container.paused()

    def show_stacks(self, _inode: int) -> None:
        """Send the container's first process the signal that has it print them."""
        assert self.container is not None
        if self.spec.stacks is not None:
            self.site.journal.note("target", "stacks_asked")
            self.container.signal(self.spec.stacks)
            self.await_stacks()


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """An image that the engine has, and what to run in it."""

    spec: TargetSpec
    kind: str = "image"

    @property
    def _image(self) -> str:
        assert self.spec.image is not None
        return self.spec.image

    def check(self) -> None:
        """Raise InputError where there is no engine, no such image or no right, and where its port is unknown."""
        if self.spec.command is not None:
            split(self.spec.command, "--command")
        if not capabilities.may_administer() or capabilities.in_new_user_namespace():
            raise InputError(
                "--image needs root: a link of the lab leads into the network namespace of the container, which only "
                "root may enter; run this with sudo, or start the server itself with --server"
            )
        self._port_of(self._inspected())

    def _inspected(self) -> dict[str, Any]:
        """What the engine says of the image; raises InputError if it has none such."""
        # Within, for the extra it takes is looked for there.
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
        """What the user says of it, or else what the image does."""
        return self._port_of(self._inspected())

    def _port_of(self, image: dict[str, Any]) -> int | None:
        """None: any, as the container is told it; raises InputError where it neither is told it nor has one."""
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
        """The options that were given."""
        return self.spec.arguments()

    def describe(self) -> dict[str, str]:
        """For results.json."""
        return {"kind": self.kind, "image": self._image}

    @contextlib.contextmanager
    def placed(self, lab: Lab, name: str, port: int, journal: Journal) -> Iterator[Place]:
        """Start a container without a network; its network namespace is the host, where the lab's link will end."""
        blanks = {"{host}": _ANY, "{port}": str(port)}
        command = self.spec.command
        running = container(
            self._image,
            None if command is None else [filled_in(word, blanks) for word in split(command, "--command")],
            {key: filled_in(text, blanks) for key, text in self.spec.environment.items()},
            lambda line: journal.note("target", "output", text=line),
            lambda line: journal.note("target", "output", text=line, stream="stderr"),
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
        """Wait until it is healthy, if its image says how to tell, and listens."""
        begun = time.monotonic()
        self._await_healthy(one, begun + site.ready_within, site.ready_within)
        await_listening(site, one, self._image, _HOW_TO_TELL, since=begun)
        yield RunningImage(one, site, self.spec, container=one)

    def _await_healthy(self, one: Container, deadline: float, ready_within: float) -> None:
        while True:
            status, said = one.health()
            if one.exit_code is not None or status in {None, "healthy", "none"}:
                return
            why = f"; its health check said: {said}" if said else ""
            if status == "unhealthy":
                raise TargetError(f"the container of {self._image!r} is unhealthy{why}{_printed(one)}")
            if time.monotonic() >= deadline:
                raise TargetError(
                    f"the container of {self._image!r} is not healthy after {ready_within:g}s; "
                    f"give it more time with --ready{why}{_printed(one)}"
                )
            time.sleep(_STEP)


def _printed(one: Container) -> str:
    return f"; it printed: {one.tail()}" if one.tail() else ""
