"""Reads slowly and sends nothing: a slow listener without acknowledgements of its own, as most servers' clients are."""

from __future__ import annotations

from halfopen.clients import trickling
from halfopen.clients.draining import application_is_silent
from halfopen.clients.trickling import queue_stays_filled
from halfopen.model.evidence import Proof, all_of, client_reads
from halfopen.model.timeline import Timeline

SUMMARY = "reads slowly and sends nothing"
Options = trickling.Options


class Behaviour(trickling.Behaviour):
    """Reads like a trickling client, acknowledges nothing."""

    def acknowledgement(self, _: int) -> None:
        """Return None: it never acknowledges."""
        return


def signature(seen: Timeline) -> Proof:
    """The queue never empty, but bytes read, and acknowledged by the kernel; none by the application."""
    return all_of(queue_stays_filled(seen), client_reads(seen), application_is_silent(seen))
