"""Several clients of one server in users' tests: the neighbours of a dead client, refusals, and users who return."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.testing.users import COMMAND, project, ran
from tests.machine import needs_guest

ROOT = Path(__file__).parents[2]
#: Servers beside the user's test: sequential broadcast, and users with a seat each.
SERVERS = {
    "broadcast.py": ROOT / "reports" / "broadcast_hol" / "server.py",
    "ghost.py": ROOT / "reports" / "ghost_seat" / "server.py",
    "crowd.py": ROOT / "planted" / "crowd.py",
}
BROADCAST = "python broadcast.py --host {host} --port {port}"
GHOST = "python ghost.py --host {host} --port {port}"
CROWD = "python crowd.py {host} {port}"


def of_a_user(pytester: pytest.Pytester, text: str, **environment: object) -> pytest.RunResult:
    """Run a user's tests beside these servers, on the virtual clock."""
    project(pytester, text, **environment)
    for name, file in SERVERS.items():
        shutil.copy(file, pytester.path / name)
    return ran(pytester, "--halfopen-clock", "virtual", "--halfopen-seed", "7", "-rA")


@needs_guest
def test_a_neighbour_is_served_while_another_client_is_frozen_and_after_its_reap(pytester: pytest.Pytester) -> None:
    result = of_a_user(
        pytester,
        f"""
def test_neighbour(lab):
    server = lab.serve("{COMMAND}")
    frozen, healthy = lab.connect(server), lab.connect(server, client="acking")
    frozen.freeze()
    assert lab.session(healthy).served(longest_gap="2s", for_="10s")
    assert lab.session(frozen).reaped(within="35s")
    assert lab.session(healthy).served(longest_gap="2s", received_at_least="1MB")

def test_a_gap_counts_from_the_last_action_on_the_client(lab):
    client = lab.connect(lab.serve("{COMMAND}"), client="acking")
    client.cut()
    served = lab.session(client).served(longest_gap="2s")
    assert not served
    assert served.session == "kept"
    client.heal()
    assert lab.session(client).kept(for_="5s")
    client.slow("8Mbit")
    assert lab.session(client).served(longest_gap="2s", for_="10s")
    assert not lab.session(client).served(received_at_least="1000MB", for_="10s")
""",
        WATCHDOG=30,
    )
    result.assert_outcomes(passed=2)


@needs_guest
def test_a_starved_neighbour_and_a_client_that_cannot_tell_fail_the_test(pytester: pytest.Pytester) -> None:
    result = of_a_user(
        pytester,
        f"""
def test_starved(lab):
    server = lab.serve("{BROADCAST}")
    frozen, healthy = lab.connect(server), lab.connect(server, client="acking")
    frozen.freeze()
    assert lab.session(healthy).served(longest_gap="2s")

def test_frozen(lab):
    client = lab.connect(lab.serve("{COMMAND}"))
    client.freeze()
    assert not lab.session(client).served(longest_gap="2s", for_="10s")

def test_reaped(lab):
    client = lab.connect(lab.serve("{COMMAND}"))
    client.freeze()
    assert lab.session(client).reaped(within="35s")
    assert lab.session(client).served(longest_gap="2s")
""",
        WATCHDOG=30,
    )
    result.assert_outcomes(failed=3)
    result.stdout.re_match_lines(
        [
            r"E .*<served nothing for [23]\.\ds from .*s on, expected at most 2s; expected: kept for .*, with no .*",
            r"E .*halfopen: nothing is proved: the client's process reported nothing for 1\d\.\ds, and cannot tell .*",
            r"E .*a live client was reaped at .*",
        ]
    )


@needs_guest
def test_a_ghost_refuses_its_user_and_nobody_else_until_it_is_found(pytester: pytest.Pytester) -> None:
    result = of_a_user(
        pytester,
        f"""
SERVER = "{GHOST}"

def test_phone(lab):
    server = lab.serve(SERVER, headers={{"X-User": "{{client}}"}})
    wifi, bob = lab.connect(server, user="ann"), lab.connect(server, user="bob")
    wifi.fault("vanish")
    refusal = lab.connect(server, user="ann", expect="refused")
    assert (refusal.status, refusal.close_code) == (409, None)
    assert "already connected" in refusal.why
    assert lab.session(wifi).reaped(within="15s", since="fault")
    lte = lab.connect(server, headers={{"X-User": "ann"}})
    assert lab.session(lte).served(longest_gap="2s", for_="5s")
    assert lab.session(bob).served(longest_gap="2s", for_="5s")

def test_same_address(lab):
    server = lab.serve("{CROWD} keeps_ghost", path="/?client={{client}}")
    first = lab.connect(server, user="ann")
    refusal = lab.connect(server, user="ann", host=first, expect="refused")
    assert (refusal.status, refusal.close_code) == (None, 4409)
    assert refusal.close_reason == "you are connected already"
    second = lab.connect(server, user="bob", host=first)
    assert lab.session(second).served(longest_gap="2s", for_="5s")

def test_same_link(lab):
    server = lab.serve("{CROWD} none", path="/?client={{client}}")
    first = lab.connect(server)
    second = lab.connect(server, host=first)
    first.cut()
    assert not lab.session(second).served(longest_gap="2s")

def test_admitted(lab):
    server = lab.serve(SERVER, headers={{"X-User": "{{client}}"}})
    lab.connect(server)
    lab.connect(server, expect="refused")

def test_no_header(lab):
    lab.connect(lab.serve(SERVER), headers={{"X User": "ann"}})
""",
    )
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.re_match_lines(
        [
            # The path is to blame, not the server.
            r"E .*halfopen: nothing is proved: nothing was acknowledged for .*",
            r"E .*AssertionError: client 2 was admitted: its first data came .* later, expected it refused",
            r"E .*--header 'X User: ann' is no header.*",
        ]
    )
