"""Errors of py-spy when it shows nothing."""

from __future__ import annotations

import pytest

from halfopen.thread_dump import pyspy

FORBIDDEN = """\
Permission Denied: Try running again with elevated permissions by going 'sudo env "PATH=$PATH" !!'
"""
UNKNOWN = """\
Error: Failed to get process information
Reason: Couldn't determine python version
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (FORBIDDEN, "py-spy may not read it; run halfopen as its user, or as root"),
        (UNKNOWN, "py-spy says: Couldn't determine python version"),
        ("Error: no such thing\n", "py-spy says: no such thing"),
        ("something else\n", "py-spy says: something else"),
        ("", "py-spy says: nothing, but it failed"),
    ],
)
def test_a_complaint_is_one_line(said: str, told: str) -> None:
    assert pyspy.complaint(said) == told


@pytest.mark.parametrize("said", ["", "{}", '[{"frames": 1}]'])
def test_what_is_not_understood_is_unavailable(said: str) -> None:
    with pytest.raises(pyspy.UnavailableError, match="py-spy printed unexpected output: "):
        pyspy.parse(said)
