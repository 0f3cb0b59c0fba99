"""What this machine has, asked once; tests that need what it lacks are skipped by these marks (in CI: failed)."""

from __future__ import annotations

import shutil

import pytest

from netns import isolation
from netns.errors import IsolationError


def _why_no_labs() -> str | None:
    try:
        isolation.run(lambda: 0)
    except IsolationError as error:
        return str(error)
    return None


_NO_LABS = _why_no_labs()
_NO_SETPRIV = None if shutil.which("setpriv") else "setpriv (util-linux) is not installed"

LACKING = [why for why in (_NO_LABS, _NO_SETPRIV) if why]

needs_labs = pytest.mark.skipif(_NO_LABS is not None, reason=str(_NO_LABS))
needs_setpriv = pytest.mark.skipif(_NO_SETPRIV is not None, reason=str(_NO_SETPRIV))

#: Runs a command as root without any capability: what an ordinary user is to the kernel.
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
