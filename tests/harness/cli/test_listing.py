from __future__ import annotations

import os
import re

from halfopen import clients, faults, plugins, proxies
from halfopen.pod import detectors
from halfopen.scenario import suites
from tests.harness.cli.tool import halfopen


def test_each_scenario_is_listed_with_its_story() -> None:
    ran = halfopen("list", "ended/clean_close", "pod_5090/paused", env=os.environ | {"COLUMNS": "160"})
    assert (ran.code, ran.err) == (0, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines[0] == "suite     scenario     client  session  story"
    assert lines[1].startswith(
        "ended     clean_close  ended   closed   The user closes the page: the closing handshake "
    )
    assert lines[2].startswith("pod_5090  paused       alive   kept     The user pressed pause: the browser drains ")


def test_a_suite_that_refers_to_others_is_listed_with_where_its_scenarios_are() -> None:
    for names in (["core"], []):
        out = halfopen("list", *names).out
        members = re.findall(r"^core +(\S+) ", out, re.MULTILINE)
        assert members == [f"{scenario.suite}/{scenario.name}" for scenario in suites.find(["core"])]


def test_every_shipped_scenario_is_listed_once() -> None:
    rows = re.findall(r"^(\w+) +(\w+) +(?:dead|alive|ended) ", halfopen("list").out, re.MULTILINE)
    assert sorted(rows) == sorted((suite, path.stem) for suite, files in suites.shipped().items() for path in files)


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
