from __future__ import annotations

import pytest

from halfopen.faults import impair
from halfopen.model import timeline
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Event


def proof(to_client: list[str], to_server: list[str] | None = None) -> Proof:
    told = {
        "to_client": {"does": "50ms, loss 100%", "seed": 7, "differences": to_client},
        "to_server": {"does": "50ms", "seed": 7, "differences": to_server or []},
    }
    return impair.signature(timeline.make([], [Event(t=3.0, kind="fault", name="impaired", data=told)]))


@pytest.mark.parametrize("differences", [[], ["seed: asked 7, in force none", "rate: asked 100bit, in force 96bit"]])
def test_a_link_that_does_what_was_asked_is_a_proof_for_all_rounding_and_seeds(differences: list[str]) -> None:
    assert proof(differences, differences) == Proof(
        True, "link changed to 50ms, loss 100% to the client, 50ms to the server"
    )


def test_a_link_that_does_something_else_is_none_and_what_is_told() -> None:
    loss = "loss: asked 100%, in force 50%"
    expected = Proof(False, f"the link was to change, but not to what it does: {loss}")
    assert proof(["seed: asked 7, in force none", loss]) == proof([], [loss]) == proof([loss], [loss]) == expected


def test_a_kernel_that_says_nothing_proves_nothing() -> None:
    assert not impair.signature(timeline.make([], [])).shown
