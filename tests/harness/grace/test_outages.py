"""Outages that are survived, and those that are not."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from halfopen.grace import outages
from halfopen.grace.outages import Survival, survivals
from halfopen.grace.replay import Phases
from halfopen.grace.sweep import Draw, Trial, TrialOutcome
from tests.harness.grace.made import draw, tried


def staircase(outcome: Mapping[tuple[float, float, float], TrialOutcome | None]) -> tuple[list[Draw], dict[int, Trial]]:
    """Return draws by round trip, length and phase, and the result of each; None: not tried."""
    draws = [
        draw(number, "staircase", "staircase", rtt_s=rtt, outage_s=length, phase=phase)
        for number, (rtt, length, phase) in enumerate(outcome)
    ]
    outcomes = {number: tried(number, 0, word) for number, word in enumerate(outcome.values()) if word is not None}
    return draws, outcomes


def survival(outcome: Mapping[tuple[float, float, float], TrialOutcome | None]) -> Survival:
    return survivals(outages.steps(*staircase(outcome)))[-1]


def test_one_lost_at_any_phase_ends_it() -> None:
    found = survival({(0.1, 1, 0): "kept", (0.1, 2, 0): "kept", (0.1, 3, 0): "kept", (0.1, 3, 0.5): "reaped"})
    assert (found.survived, found.reaped, found.longest) == (2, 3, 3)


def test_one_that_is_survived_after_a_shorter_that_was_not_is_luck() -> None:
    assert survival({(0.1, 1, 0): "reaped", (0.1, 2, 0): "kept"}).survived is None


def test_what_was_not_tried_is_not_survived() -> None:
    assert survival({(0.1, 1, 0): "kept", (0.1, 2, 0): None, (0.1, 3, 0): "kept"}).survived == 1


def test_what_is_unproved_is_not_survived() -> None:
    assert survival({(0.1, 1, 0): "kept", (0.1, 2, 0): "unproved", (0.1, 3, 0): "kept"}).survived == 1


def test_a_session_that_ended_by_itself_did_not_survive() -> None:
    assert survival({(0.1, 1, 0): "kept", (0.1, 2, 0): "closed"}).survived == 1


def test_each_round_trip_has_its_own_and_all_have_the_worst() -> None:
    draws, outcomes = staircase({(0.1, 1, 0): "kept", (0.1, 2, 0): "kept", (0.3, 1, 0): "kept", (0.3, 2, 0): "reaped"})
    found = survivals(outages.steps(draws, outcomes))
    assert [(one.rtt, one.survived, one.reaped) for one in found] == [(0.1, 2, None), (0.3, 1, 2), (None, 1, 2)]


def test_without_a_staircase_there_is_none() -> None:
    assert survivals(outages.steps([draw(0, "mix", "outage", outage_s=3)], {})) == ()


def test_one_that_is_lost_where_a_look_falls_on_its_onset_is_not_always_survived() -> None:
    draws, outcomes = staircase({(0.1, 1, 0): "kept", (0.1, 2, 0): "kept", (0.1, 3, 0): "kept"})
    for number, phases in enumerate([Phases(0, 8, worst=False), Phases(0, 8, worst=True), Phases(3, 8, worst=True)]):
        outcomes[number] = msgspec.structs.replace(outcomes[number], phases=phases)
    found = outages.steps(draws, outcomes)
    assert [(one.kept, one.reaped) for one in found] == [(8, 0), (8, 0), (5, 3)]
    assert (survivals(found)[-1].survived, survivals(found)[-1].reaped) == (1, 2)


def test_outages_that_end_with_the_same_retransmission_are_one_flight() -> None:
    draws = [draw(n, "staircase", "staircase", rtt_s=0.1, outage_s=float(n + 1)) for n in range(6)]
    stalls = (1.5, 3.1, 3.2, 6.3, 6.3, 6.4)
    outcomes = {n: tried(n, 0, "kept", stall=stall) for n, stall in enumerate(stalls)}
    found = outages.stairs(outages.steps(draws, outcomes))
    assert [(one.shortest, one.longest, one.stall) for one in found] == [(1, 1, 1.5), (2, 3, 3.2), (4, 6, 6.4)]


@given(st.dictionaries(st.integers(1, 30), st.sampled_from(["kept", "reaped", "unproved", None]), min_size=1))
def test_what_is_survived_is_shorter_than_what_ever_killed(outcome: dict[int, TrialOutcome | None]) -> None:
    found = survival({(0.1, float(length), 0.0): word for length, word in outcome.items()})
    if found.survived is not None and found.reaped is not None:
        assert found.survived < found.reaped
    if found.survived is not None:
        assert all(outcome[length] == "kept" for length in outcome if length <= found.survived)
