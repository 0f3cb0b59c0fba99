"""Prove from the kernel's counters that a scenario's link did what the scenario says. Pure."""

from __future__ import annotations

from typing import Any

from halfopen.model.evidence import Proof
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Timeline
from halfopen.netns.impairment import NONE, Impairment

#: Expected number of lost packets before their absence proves anything: only one run in 500 million has none by chance.
_EXPECTED = 20


def spoils(difference: str) -> bool:
    """True if the link differs from what was asked. Kernels round rates, and those before 6.6 take no seed."""
    return not difference.startswith(("seed: ", "rate: "))


def link_proofs(link: LinkSpec, timeline: Timeline) -> list[Proof]:
    """Prove for each impaired direction that the kernel impairs it, and that it lost packets if it should."""
    asked = {"client": link.to_client, "router": link.to_server}
    return [_proof(timeline, toward, impairment) for toward, impairment in asked.items() if impairment != NONE]


def _proof(timeline: Timeline, toward: str, asked: Impairment) -> Proof:
    way = f"to the {'client' if toward == 'client' else 'server'}"
    told, did = (_told(timeline, name, toward) for name in ("link", "link_did"))
    if told is None:
        return Proof(False, f"the kernel never said what the link does {way}")
    if unlike := [text for text in told["differences"] if spoils(text)]:
        return Proof(False, f"the link {way} is not as asked: {'; '.join(unlike)}")
    if did is None or not asked.loss:
        return Proof(True, f"link {way} {told['does']}")
    packets = did["sent"] + did["dropped"]
    lost = f"lost {did['dropped']} of {packets} packets"
    return Proof(did["dropped"] > 0 or packets * asked.loss < _EXPECTED, f"link {way} {told['does']}: {lost}")


def _told(timeline: Timeline, name: str, toward: str) -> dict[str, Any] | None:
    told = [e.data for e in timeline.of("lab", name) if e.data["toward"] == toward]
    return told[-1] if told else None
