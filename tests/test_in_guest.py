"""The decorator that runs a function in a guest: its place, its arguments and results, and reports of failure."""

from __future__ import annotations

import os
import time

import pytest

from tests.in_guest import in_guest
from tests.machine import needs_guest

pytestmark = needs_guest


@in_guest
def sleep(seconds: float, *, and_say: str) -> tuple[str, float, int]:
    begun = time.monotonic()
    time.sleep(seconds)
    return and_say, time.monotonic() - begun, os.geteuid()


@in_guest
def fail(number: int) -> None:
    raise ValueError(f"no {number}")


@in_guest
def vanish() -> None:
    print("last words", flush=True)
    os._exit(3)


def test_it_runs_as_root_on_the_virtual_clock_and_values_go_in_and_out() -> None:
    said, took, user = sleep(3600, and_say="it's done")
    assert (said, user) == ("it's done", 0)
    assert took == pytest.approx(3600, abs=0.1)


def test_the_traceback_of_a_failure_comes_out() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"(?s)in fail\n.*ValueError: no 7"):
        fail(7)


def test_what_never_answers_is_told_with_all_it_said() -> None:
    with pytest.raises(pytest.fail.Exception, match="the guest ended with exit code 3: last words"):
        vanish()
