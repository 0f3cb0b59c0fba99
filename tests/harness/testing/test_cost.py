"""The plugin's cost for a pytest run that does not use it: no import of anything behind it."""

from __future__ import annotations

import sys

import pytest

HEAVY = (
    "halfopen.testing.lab_fixture",
    "halfopen.run.runner",
    "halfopen.netns",
    "msgspec",
    "pyroute2",
    "rich",
    "typer",
    "websockets",
    "trustme",
)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_run_that_does_not_use_the_lab_imports_nothing_of_it(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        f"""
import sys
def test_it(request):
    assert "halfopen.testing.plugin" in sys.modules
    assert request.config.pluginmanager.hasplugin("halfopen")
    assert not set(sys.modules) & set({HEAVY!r})
"""
    )
    pytester.runpytest_subprocess(*workers).assert_outcomes(passed=1)


def test_the_plugin_imports_pytest_and_what_pytest_imports_anyway(pytester: pytest.Pytester) -> None:
    script = (
        "import sys; import pytest, _pytest.config, _pytest.tmpdir; before = set(sys.modules); "
        "import halfopen.testing.plugin; print(*sorted(set(sys.modules) - before))"
    )
    result = pytester.run(sys.executable, "-P", "-c", script)
    assert result.outlines == ["halfopen halfopen.testing halfopen.testing.plugin"]


def test_without_xdist_its_hook_is_no_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_its_marker_is_known_and_its_seed_is_in_the_header(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.halfopen(grace='5s')\ndef test_it(): pass")
    result = pytester.runpytest_subprocess("--strict-markers", "-W", "error", "--halfopen-seed", "4")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["halfopen: grace 30s, poll 2s, real clock, seed 4"])
