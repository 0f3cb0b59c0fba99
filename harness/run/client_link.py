"""The client's link in a run: impaired as the scenario says, and what the kernel says of it in the journal."""

from __future__ import annotations

import random

import msgspec

from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.host import Host
from halfopen.netns.impairment import Impairment
from halfopen.netns.link import Link


class ClientLink:
    """Impairs a link and writes down what comes of it (halfopen.model.link_proof reads that)."""

    def __init__(self, link: Link, client: Host, journal: Journal, drawn: random.Random) -> None:
        self._link = link
        self._client = client
        self._journal = journal
        self._random = drawn

    def impair(self, spec: LinkSpec) -> None:
        """Have it do what is asked; raises UnsupportedError if the kernel cannot."""
        for toward, impairment in ((self._client, spec.to_client), (self._link.other(self._client), spec.to_server)):
            self._link.impair(toward, self.seeded(impairment))
            self._note("link", toward)
            if told := self._link.differences(toward):
                self._journal.note("lab", "not_as_asked", toward=toward.name, differences=told)

    def note_what_it_did(self) -> None:
        """Write down how many packets were lost and passed on until now."""
        for toward in (self._client, self._link.other(self._client)):
            self._note("link_did", toward)

    def seeded(self, impairment: Impairment) -> Impairment:
        """With a seed of the run's, if it draws random numbers and has none."""
        if impairment.seed is not None or not impairment.is_random:
            return impairment
        return msgspec.structs.replace(impairment, seed=self._random.getrandbits(63))

    def _note(self, name: str, toward: Host) -> None:
        effect = self._link.does(toward)
        self._journal.note(
            "lab",
            name,
            toward="client" if toward is self._client else "router",
            does=str(effect.impairment),
            differences=self._link.differences(toward),
            sent=effect.sent,
            dropped=effect.dropped,
        )
