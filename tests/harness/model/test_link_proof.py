"""Kernel reports about a scenario's link that are required before anything is proved."""

from __future__ import annotations

from typing import Any

from halfopen.model import timeline
from halfopen.model.link_proof import link_proofs
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Event

LOSSY = LinkSpec.from_table({"to_client": {"loss": "5%"}}, "here")


def told(name: str, *, toward: str = "client", **data: Any) -> Event:
    said = {"toward": toward, "does": "loss 5%", "differences": [], "sent": 1000, "dropped": 50}
    return Event(t=0.0, kind="lab", name=name, data=said | data)


def proofs(*events: Event) -> list[tuple[bool, str]]:
    return [(proof.shown, proof.what) for proof in link_proofs(LOSSY, timeline.make([], events))]


def test_a_link_that_does_nothing_needs_no_proof() -> None:
    assert link_proofs(LinkSpec(), timeline.make([], [])) == []


def test_a_link_of_which_the_kernel_says_what_was_asked_and_which_lost_packets_is_proved() -> None:
    assert proofs(told("link"), told("link_did")) == [
        (True, "link to the client loss 5%: lost 50 of 1050 packets"),
    ]


def test_a_link_of_which_the_kernel_said_nothing_is_not() -> None:
    assert proofs(told("link", toward="router")) == [
        (False, "the kernel never said what the link does to the client"),
    ]


def test_a_link_that_is_not_as_asked_is_not_but_for_rounding_and_seeds() -> None:
    loss = "loss: asked 5%, in force 50%"
    assert proofs(told("link", differences=[loss])) == [(False, f"the link to the client is not as asked: {loss}")]
    assert proofs(told("link", differences=["rate: asked 100bit, in force 96bit"]))[0][0]


def test_a_link_that_was_to_lose_packets_and_lost_none_of_many_is_not() -> None:
    assert not proofs(told("link"), told("link_did", sent=1000, dropped=0))[0][0]
    # Of a hundred packets only five should be lost: too few to prove anything.
    assert proofs(told("link"), told("link_did", sent=100, dropped=0))[0][0]
