"""A pytest plugin for ``make unit``: only tests that need no lab, where no lab and no guest can be made.

python -m pytest -p tests.unit [tests/harness/cli ...]

A test that makes a lab without the mark for it (tests/machine.py) fails here, instead of being slow.
"""

from __future__ import annotations

import os
import tempfile

import hypothesis
import pytest

from tests import no_namespaces

_CHOSEN = "not lab"
_EXAMPLES = 20


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    asked = config.option.markexpr
    config.option.markexpr = f"({asked}) and {_CHOSEN}" if asked else _CHOSEN
    # Property tests try fewer examples here than in the whole suite.
    hypothesis.settings.register_profile("unit", deadline=None, max_examples=_EXAMPLES)
    hypothesis.settings.load_profile("unit")
    # Also without a guest's kernel in it: labs would be made in a guest if the machine refuses namespaces.
    cache = tempfile.TemporaryDirectory(prefix="halfopen-unit-")
    config.add_cleanup(cache.cleanup)
    os.environ["XDG_CACHE_HOME"] = cache.name
    no_namespaces.refuse()
