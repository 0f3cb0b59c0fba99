from __future__ import annotations

import msgspec

from halfopen.grace.trials import Candidate
from tests.harness.grace import sweeps


def test_a_candidate_is_called_by_its_settings() -> None:
    assert Candidate(30.0, 2.0, "bytes-acked").label == "bytes-acked grace 30s poll 2s"
    assert Candidate(7.5, 0.5).label == "grace 7.5s"


def test_a_sweep_is_known_by_all_that_determines_it() -> None:
    one = sweeps.small()
    assert one.fingerprint == sweeps.small().fingerprint
    others = [
        msgspec.structs.replace(one, seed=8),
        msgspec.structs.replace(one, draws=one.draws[1:]),
        msgspec.structs.replace(one, candidates=one.candidates[1:]),
        msgspec.structs.replace(one, confirm=0.5),
    ]
    assert len({other.fingerprint for other in (one, *others)}) == 5
