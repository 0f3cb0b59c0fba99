"""Open the session to be held."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from halfopen.errors import TargetError
from halfopen.model.journal import Journal
from halfopen.netns.lab import Lab
from halfopen.repro.tap import Tap
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.runner import Job
from halfopen.run.session import Cast, Session, opened
from halfopen.targets.pod import PodTarget


def held(job: Job, ping: float) -> Job:
    """Return the job with the pod's watchdog held, and a keepalive ping every ``ping`` seconds."""
    if not isinstance(job.target, PodTarget):
        return job
    return dataclasses.replace(job, target=dataclasses.replace(job.target, held=True, ping=ping))


@contextlib.contextmanager
def session_of(job: Job, journal: Journal, lab: Lab, tap: Tap) -> Iterator[Session]:
    """Open the session: server and client, connected. Raises TargetError if the client is not connected."""
    cast = Cast(job.scenario, job.target, job.ready_within, job.drawn, journal, RunView(job.label), Stop())
    with opened(cast, lab, lambda way: tap.at(way.site.host, way.interface)) as session:
        if session is None:
            raise TargetError(f"there is no session to hold: {_why_none(journal)}")
        yield session


def _why_none(journal: Journal) -> str:
    event = journal.find("target", "exited")
    if event is not None:
        return f"the server ended with exit code {event.data.get('code')}: {event.data.get('said')}"
    event = journal.find("client", "refused", "unanswered", "unreachable")
    if event is not None:
        return f"the client was {event.name}: {event.data.get('why') or event.data}"
    event = journal.find("lab", "trouble")
    return "the client was not connected" if event is None else str(event.data.get("what"))
