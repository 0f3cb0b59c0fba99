"""A session that must be served, as users ask for it."""

from __future__ import annotations

import pytest

from tests.harness.testing.users import IN_SHORT, project, ran
from tests.machine import needs_guest

pytestmark = needs_guest

NEIGHBOUR = """
import pytest

@pytest.fixture
def clients(lab):
    server = lab.pod(seats=2)
    return lab.connect(server), lab.connect(server, client="acking")

def test_neighbour(lab, clients):
    frozen, healthy = clients
    frozen.freeze()
    assert lab.session(healthy).served(longest_gap="2s", received_at_least="1kB")
    assert lab.session(frozen).reaped()
    assert lab.session(healthy).served(longest_gap="2s")

def test_silence_on_its_own_path(lab, clients):
    frozen, healthy = clients
    with healthy.cut():
        assert not lab.session(healthy).served(longest_gap="1s", for_="1.5s")
    assert not lab.session(healthy).served(longest_gap="1s", for_="1s")

def test_too_little(lab, clients):
    assert lab.session(clients[1]).served(received_at_least="100000MB", for_="1s")

def test_not_checked(lab, clients):
    lab.session(clients[1]).served(for_="1s")

def test_no_size(lab, clients):
    lab.session(clients[1]).served(received_at_least="much")
"""


def test_a_client_is_served_while_another_is_frozen_and_after_its_reap(pytester: pytest.Pytester) -> None:
    project(pytester, NEIGHBOUR)
    result = ran(pytester, *IN_SHORT, "--halfopen-clock", "virtual", "-rA")
    result.stdout.re_match_lines_random(
        [
            r"PASSED .*::test_neighbour",
            r"PASSED .*::test_silence_on_its_own_path",
            r"FAILED .*::test_too_little.*",
            r"(FAILED|ERROR) .*::test_not_checked.*",
            r"FAILED .*::test_no_size.*",
            r"E .*received .*, expected at least 100000\.0 MB.*",
            r".*received_at_least: .*",
        ]
    )
