"""Run a test's body where labs can be made: in its own namespaces, forked off from pytest."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

import pytest

from halfopen.netns import isolation
from tests.machine import needs_labs

P = ParamSpec("P")

_FAILED = 99


def isolated(test: Callable[P, None]) -> Callable[P, None]:
    """Run the test in user, pid, mount and network namespaces that end with it, and mark it ``needs_labs``."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        read, write = os.pipe()

        def body() -> int:
            os.close(read)
            try:
                test(*args, **kwargs)
            except BaseException:  # noqa: BLE001 (told to pytest on the other side of the fork)
                with os.fdopen(write, "w") as stream:
                    stream.write(traceback.format_exc())
                return _FAILED
            return 0

        code = isolation.run(body)
        os.close(write)
        with os.fdopen(read) as stream:
            story = stream.read()
        if code:
            pytest.fail(story or f"the isolated test ended with exit code {code}", pytrace=False)

    return needs_labs(wrapper)
