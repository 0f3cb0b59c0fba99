"""What a sweep comes to at the terminal, by executors that make up what came of each batch: no guests."""

from __future__ import annotations

import msgspec

from harness.cli import sweeping
from tests.harness.grace import sweeps


def test_a_real_run_is_one_more_than_the_session_that_is_replayed_for_all() -> None:
    replayed = [sweeps.tried(0, contender) for contender in range(3)]
    really = [msgspec.structs.replace(sweeps.tried(0, contender), really=True, duration=24.0) for contender in (0, 1)]
    assert sweeping._summary([*replayed, *really], 9.3) == "3 runs in 9.3s, 31s of lab time each"
