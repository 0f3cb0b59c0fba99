"""The sessions of a scenario's other clients: opened when they are due, and observed beside the subject's."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator

import msgspec

from halfopen.model.journal import Journal
from halfopen.model.timeline import Timeline
from halfopen.run.client_process import NoSessionError
from halfopen.run.crowd_session import CrowdSession
from halfopen.run.lab_server import LabServer, Network
from halfopen.run.observer import Stop
from halfopen.run.progress import RunView
from halfopen.run.recorder import SamplingRate
from halfopen.run.session import ClientLink, Session
from halfopen.scenario.spec import CROWD, SUBJECT, CrowdSpec, OtherClient, Scenario
from halfopen.verdict.crowd import crowd_observed_until
from halfopen.verdict.judge import Timing

#: Seconds to observe the others after the subject's session is over, at least.
_AFTERWARDS = 5.0
#: Seconds to observe beyond a limit.
_BEYOND = 0.5


class OtherSessions(contextlib.ExitStack):
    """The other clients of one scenario. Leaving undoes their faults and ends them."""

    def __init__(self, scenario: Scenario, network: Network, drawn: random.Random, sampling: SamplingRate) -> None:
        super().__init__()
        self._scenario, self._network, self._drawn, self._sampling = scenario, network, drawn, sampling
        self._links: dict[str, ClientLink] = {}
        self._opened_at: dict[str, float] = {}
        self.journals: dict[str, Journal] = {}
        """The journal of each client that tried to connect."""
        self.sessions: dict[str, Session] = {}
        """The session of each client that got one."""
        self.crowd: CrowdSession | None = None

    def __bool__(self) -> bool:
        return self._scenario.has_company

    def share(self, link: ClientLink) -> None:
        """Tell the subject's link, which other clients may share."""
        self._links[SUBJECT] = link

    def open(self, other: OtherClient, server: LabServer, stop: Stop, subject: Session | None = None) -> None:
        """Connect a client. One that gets no session leaves the reason in its journal.

        ``subject`` is the subject's session, if it is open already.
        """
        journal = self.journals[other.name] = Journal()
        if subject is not None:
            journal.start = subject.journal.start
        server.site.journal.followers.append(journal)
        if other.host is None:
            link = ClientLink(self._network, other.name, other.link, journal, self._drawn)
        else:
            link = self._links[other.host].beside(journal)
        self._links[other.name] = link
        view = RunView(other.name)
        opening = Session.open(
            server, link, other.client, view, stop, self._sampling, user=other.user, query=other.query
        )
        self._opened_at[other.name] = time.monotonic()
        with contextlib.suppress(NoSessionError):
            session = self.enter_context(opening)
            session.watch.has_company = True
            self.sessions[other.name] = session
            if subject is not None:
                subject.watch.has_company = True
                subject.watch.others.append(session.watch)
        if subject is not None:  # an attempt counts from its own start, with a session and without
            journal.start = subject.journal.start

    def join(self, subject: Session) -> None:
        """Count the times of all from the subject's start, and let its observer ask for all."""
        subject.watch.has_company = bool(self.sessions) or self._scenario.crowd is not None
        for journal in self.journals.values():
            journal.start = subject.journal.start
        subject.watch.others += [session.watch for session in self.sessions.values()]
        if self._scenario.crowd is not None:
            self._gather(self._scenario.crowd, subject)

    def _gather(self, crowd: CrowdSpec, subject: Session) -> None:
        """Connect the crowd."""
        # Behind a proxy the subject's socket is only told from the others while there are none.
        subject.await_sample()
        journal = self.journals[CROWD] = Journal()
        journal.start = subject.journal.start
        subject.server.site.journal.followers.append(journal)
        link = ClientLink(self._network, CROWD, crowd.link, journal, self._drawn)
        seed = self._drawn.getrandbits(32)
        self.crowd = self.enter_context(CrowdSession.open(subject.server, link, crowd, seed, self._sampling))

    def observe_until(self, terms: Timing, over_at: float) -> float:
        """Return the moment until which to observe them, if the subject's session was over at ``over_at``."""
        moments = [over_at + _AFTERWARDS]
        for other in self._scenario.others:
            expect, since = other.expect, self._opened_at.get(other.name, over_at)
            step = next(iter(self._scenario.steps_on(other.name)), None)
            struck_at = since if step is None else self.journals[other.name].start + terms.seconds(step.at)
            limits = (expect.within, expect.hold)
            moments += [struck_at + terms.seconds(limit) + _BEYOND for limit in limits if limit is not None]
            soon = (expect.admitted_within, expect.served_within)
            moments += [since + terms.seconds(limit) + _BEYOND for limit in soon if limit is not None]
            if expect.longest_gap is not None:
                moments.append(max(since, over_at) + terms.seconds(expect.longest_gap) + _BEYOND)
        if self._scenario.crowd is not None:
            moments.append(self.journals[CROWD].start + crowd_observed_until(self._scenario, terms) + _BEYOND)
        return max(moments)

    def settle(self) -> None:
        """Note what each client's session looks like at the end."""
        for name, session in self.sessions.items():
            part = self._scenario.part(name)
            if part.truth == "alive" or not part.steps:
                session.check_path()
            session.watch.settle()
            session.note_unread_close()
            session.client_link.note_what_it_did()
        if self.crowd is not None:
            self.crowd.settle()

    def stop(self) -> None:
        """Stop sampling, and accept no more events."""
        for session in self.sessions.values():
            session.recorder.stop()
        if self.crowd is not None:
            self.crowd.stop()
        for journal in self.journals.values():
            journal.close_session()
            journal.seal()

    def undo_all(self) -> None:
        """Undo the faults in force."""
        for session in self.sessions.values():
            session.undo_all()
        if self.crowd is not None:
            self.crowd.faults.undo_all()

    def added_to(self, timeline: Timeline) -> Timeline:
        """Return the subject's timeline with those of the others."""
        if not self.journals:
            return timeline
        others = {name: journal.timeline() for name, journal in self.journals.items()}
        return msgspec.structs.replace(timeline, others=others)

    def connecting_first(self) -> Iterator[OtherClient]:
        """Yield the clients that connect before the subject."""
        return (other for other in self._scenario.others if other.comes_first)
