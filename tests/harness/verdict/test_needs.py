"""Scenarios that do not apply to a server."""

from __future__ import annotations

import msgspec
import pytest

from halfopen.model.profile import Profile
from halfopen.scenario import suites
from halfopen.verdict.needs import unmet

STREAM = Profile(observed=120, messages=2400, rate=640_000, largest=32_768, longest_pause=0.5)
TRICKLE = Profile(observed=120, messages=120, rate=1_000, largest=1_000, longest_pause=1.0)
SLOW = Profile(observed=120, messages=40, rate=10_000, largest=32_768, longest_pause=3.0)
QUIET = Profile(observed=120, messages=1, rate=0.1, largest=16, longest_pause=119, quiet_share=0.95)


@pytest.mark.parametrize(
    ("name", "profile", "why"),
    [
        ("alive/backpressured", QUIET, "needs a server that streams; this one was silent for 119s of 120s"),
        ("alive/backpressured", TRICKLE, "needs a server that sends at least 131 kB/s; this one sends 1 kB/s"),
        ("alive/slowest_link", STREAM, "needs messages of at most 4 kB; this server sends some of 33 kB"),
        ("bystanders/one_frozen", SLOW, "needs a server that is silent for at most 1s; this one was for 3s"),
        ("dead/frozen_silent", STREAM, "needs a server that is silent at times; this one streams 640 kB/s"),
    ],
)
def test_a_need_that_is_not_met_names_it_and_the_server(name: str, profile: Profile, why: str) -> None:
    (scenario,) = suites.find([name])
    assert unmet(scenario, profile) == why


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("alive/backpressured", STREAM),
        ("dead/frozen_silent", QUIET),
        ("dead/frozen", QUIET),
        ("dead/vanished", TRICKLE),
        ("alive/active", QUIET),
    ],
)
def test_a_need_that_is_met_is_no_hindrance(name: str, profile: Profile) -> None:
    (scenario,) = suites.find([name])
    assert unmet(scenario, profile) is None


def test_a_server_that_ends_undisturbed_sessions_is_asked_everything() -> None:
    """Its profile covers too little, and must not excuse what its sessions show."""
    (scenario,) = suites.find(["alive/backpressured"])
    assert unmet(scenario, msgspec.structs.replace(QUIET, observed=2.0, ended_at=2.0)) is None


def test_a_server_is_known_by_an_undisturbed_session_of_some_length_though_it_ended() -> None:
    (scenario,) = suites.find(["dead/frozen_silent"])
    assert unmet(scenario, msgspec.structs.replace(STREAM, observed=30.0, ended_at=30.0)) is not None
