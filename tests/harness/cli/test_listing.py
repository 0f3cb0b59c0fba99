from __future__ import annotations

import re

from halfopen import clients, faults, plugins, proxies
from halfopen.pod import detectors
from tests.harness.cli.tool import halfopen


def test_scenarios_are_listed_by_suite() -> None:
    ran = halfopen("list", "pod_5090")
    assert (ran.code, ran.err) == (0, "")
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "suite     scenario       truth  expected  what",
        "pod_5090  active         alive  kept      Active client",
        "pod_5090  backpressured  alive  kept      Backpressured client",
        "pod_5090  clean_close    ended  closed    Clean close",
        "pod_5090  frozen         dead   reaped    Frozen client",
        "pod_5090  paused         alive  kept      Paused client",
    ]


def test_everything_is_listed_by_default_with_what_it_is() -> None:
    out = halfopen("list").out
    assert "wedge" in out
    for package in (detectors, faults, clients, proxies):
        for name, summary in plugins.summaries(package).items():
            # A summary may be wrapped.
            assert re.search(rf"^{name} +{re.escape(summary[:40])}", out, re.MULTILINE), name


def test_what_cannot_be_listed_is_told() -> None:
    ran = halfopen("list", "wegde")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "halfopen: no scenario, suite, file or folder is called 'wegde'; did you mean 'wedge'?\n"


def test_the_version_is_told() -> None:
    ran = halfopen("--version")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("halfopen ")
