"""Build a test's lab from its marker, the command line and the configuration, and report its history on failure."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from halfopen.errors import suggest
from halfopen.testing import plugin
from halfopen.testing.lab_fixture import LabFixture, LabSettings

_KNOWN = ("grace", "link", "poll", "seed", "server")


def lab_of(request: pytest.FixtureRequest, seed: int) -> LabFixture:
    """Return the lab of the requesting test."""
    config, marked = request.config, _marked(request.node)

    def setting(name: str) -> str | None:
        return marked.get(name) or plugin.setting(config, name)

    return LabFixture(
        LabSettings(
            name=request.node.nodeid,
            seed=marked.get("seed", seed),
            clock=plugin.clock(),
            grace=str(setting("grace")),
            poll=str(setting("poll")),
            marked_server=marked.get("server"),
            server=plugin.setting(config, "server"),
            target=plugin.setting(config, "target"),
            link=marked.get("link", {}),
            test_file=request.path,
            called_from=config.invocation_params.dir,
        )
    )


def _marked(node: pytest.Item) -> dict[str, Any]:
    """Merge the markers of a test, its class and its module; the nearest wins."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers("halfopen"):
        if marker.args:
            pytest.fail(f"halfopen: the marker takes keywords only, got {marker.args[0]!r}", pytrace=False)
        for name in marker.kwargs.keys() - set(_KNOWN):
            pytest.fail(f"halfopen: the marker knows no {name!r}; {suggest(name, _KNOWN)}", pytrace=False)
        found = {**marker.kwargs, **found}
    return found


def sections(item: pytest.Item, lab: LabFixture) -> list[tuple[str, str]]:
    """Return the report sections: the history of a test's lab, and the command that repeats it."""
    try:
        story = lab.story()
    except pytest.fail.Exception as error:
        story = str(error)
    return [("halfopen", f"{story}\nagain: {again(item.config, item.nodeid, lab.seed)}")] if story else []


def again(config: pytest.Config, test: str, seed: int) -> str:
    """Return the command that repeats a test exactly."""
    words = ["pytest", test]
    for name in ("grace", "poll", "clock", "server", "target", "detector"):
        given = config.getoption(f"halfopen_{name}")
        if given is not None:
            words += [f"--halfopen-{name}", given]
    return shlex.join([*words, "--halfopen-seed", str(seed)])
