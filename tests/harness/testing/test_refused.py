"""Tests whose client the server must refuse, and clients with headers, a user or the address of another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness.testing.users import IN_SHORT, project, ran
from tests.machine import needs_guest

pytestmark = needs_guest

#: Refuses users that it does not know, with 403, and sends each other its user, its address and its path.
GREETER = f"{sys.executable} {Path(__file__).with_name('greeter.py')} {{host}} {{port}}"
TESTS = f"""
import pytest

def test_one_seat(lab):
    pod = lab.pod()
    client = lab.connect(pod, client="acking")
    second = lab.connect(pod, client="acking", expect="refused")
    assert (second.close_code, second.status) == (1013, None)
    assert "1013" in second.why
    assert lab.session(client).served(for_="1s")

def test_admitted(lab):
    lab.connect(lab.pod(seats=2), expect="refused")

def test_by_http(lab):
    server = lab.serve("{GREETER}", headers={{"X-User": "{{client}}"}})
    nobody = lab.connect(server, expect="refused", user="nobody")
    assert (nobody.status, nobody.close_code) == (403, None)
    assert lab.session(lab.connect(server, user="ann")).kept(for_="1s")

def test_headers(lab):
    server = lab.serve("{GREETER}")
    assert lab.connect(server, expect="refused").status == 403
    client = lab.connect(server, headers={{"X-User": "ann"}})
    # The same address, which this server lets in once only.
    beside = lab.connect(server, headers={{"X-User": "ann"}}, query="once=1", host=client, expect="refused")
    assert beside.status == 409
    lab.connect(server, headers={{"X-User": "ann"}}, query="once=1")

def test_host_and_link(lab):
    client = lab.connect(lab.pod(seats=2))
    lab.connect(lab.pod(), host=client, link={{"delay": "1ms"}})
"""


def test_a_refusal_is_returned_and_an_admission_fails_the_test(pytester: pytest.Pytester) -> None:
    project(pytester, TESTS)
    result = ran(pytester, *IN_SHORT, "--halfopen-clock", "virtual", "-rA")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.re_match_lines_random(
        [
            r"E .*a client was admitted, but was to be refused: it received data.*",
            r"E .*host and link exclude each other.*",
            r"PASSED .*::test_one_seat",
            r"PASSED .*::test_by_http",
            r"PASSED .*::test_headers",
        ]
    )
