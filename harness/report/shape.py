"""Check the types of the results in a report, so that errors name the wrong key. Pure.

Keys that older versions lack may be missing. Those present must have the right type (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from halfopen.model import schema


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    scenario: str
    verdict: Literal["passed", "failed", "inconclusive"]
    label: str | None = None
    repeat: int = 1
    known: bool = False
    stuck_bytes: int | None = None
    fault_at_s: float | None = None
    onset_s: float | None = None
    deadline_s: float | None = None
    reaped_at_s: float | None = None
    detection_s: float | None = None
    after_fault_s: float | None = None
    topology: list[dict[str, Any]] | None = None
    struck: dict[str, str] | None = None
    timeline: str | None = None


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    grace_s: float
    runs: list[_Run]
    poll_s: float | None = None
    target: dict[str, Any] | None = None
    detectors: dict[str, dict[str, int]] = {}
    targets: list[dict[str, Any]] = []
    summary: dict[str, dict[str, Any]] | None = None


def check(table: Mapping[str, Any], where: str) -> None:
    """Check that these are results; raises InputError with ``where``, the key, the value, and the expected type."""
    schema.convert(table, _Table, where)
