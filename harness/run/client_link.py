"""Impair the client's link as the scenario says, and note in the journal what the kernel reports about it."""

from __future__ import annotations

import random

import msgspec

from halfopen.model.journal import Journal
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.host import Host
from halfopen.netns.impairment import Impairment
from halfopen.netns.link import Link


class ClientLink:
    """A link that it impairs, with the effect noted in the journal (read by halfopen.model.link_proof)."""

    def __init__(self, link: Link, client: Host, journal: Journal, drawn: random.Random) -> None:
        self._link = link
        self._client = client
        self._journal = journal
        self._random = drawn

    def impair(self, spec: LinkSpec) -> None:
        """Impair both directions as specified; raises UnsupportedError if the kernel cannot."""
        for toward, impairment in ((self._client, spec.to_client), (self._link.other(self._client), spec.to_server)):
            self._link.impair(toward, self.seeded(impairment))
            self._note("link", toward)
            if told := self._link.differences(toward):
                self._journal.note("lab", "not_as_asked", toward=toward.name, differences=told)

    def note_what_it_did(self) -> None:
        """Note how many packets were lost and passed on so far."""
        for toward in (self._client, self._link.other(self._client)):
            self._note("link_did", toward)

    def seeded(self, impairment: Impairment) -> Impairment:
        """Return the impairment with a seed drawn from the run's, if it draws random numbers and has no seed."""
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
