"""Turns errors that users can cause into one line on stderr and exit code 2, and tells GitHub, where it runs there."""

from __future__ import annotations

from collections.abc import Callable

from harness.cli import on_github, quick
from netns import isolation


def explained(work: Callable[[], int]) -> int:
    """Run ``work`` and return its exit code, or the one that its error stands for."""
    return quick.explained(work, on_github.tell_refusal)


def isolated(work: Callable[[], int], *, is_brief: bool = False) -> int:
    """Run ``work`` in namespaces of its own; its errors are explained there, where they happen.

    Raises IsolationError; KeyboardInterrupt where work ``is_brief`` (netns.isolation).
    """
    return isolation.run(lambda: explained(work), is_brief=is_brief)
