"""Open the session to be held."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from halfopen.errors import TargetError
from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.repro.tap import Tap
from halfopen.run.client_process import NoSessionError
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.runner import Job, opened
from halfopen.run.session import Session
from halfopen.targets.pod import PodTarget


def held(job: Job, ping: float) -> Job:
    """Return the job with the pod's watchdog held, and a keepalive ping every ``ping`` seconds."""
    if not isinstance(job.target, PodTarget):
        return job
    return dataclasses.replace(job, target=dataclasses.replace(job.target, held=True, ping=ping))


@contextlib.contextmanager
def session_of(job: Job, journal: Journal, lab: Lab, tap: Tap) -> Iterator[Session]:
    """Open the session: server and client, connected. Raises TargetError if the client is not connected."""
    view = RunView(job.label)
    try:
        with opened(
            job, lab, journal, view, Stop(), lambda server: tap.at(server.site.host, server.interface)
        ) as session:
            yield session
    except NoSessionError as error:
        raise TargetError(f"there is no session to hold: {error}") from None
