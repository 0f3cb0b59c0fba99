"""field.json: the results of several servers in the same scenarios (field by field in docs/results.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from halfopen.model import evidence, printed_stacks
from halfopen.netns.units import show_bytes, show_duration
from halfopen.results import comparison, record
from halfopen.results.record import Conditions
from halfopen.run.runner import RunResult
from halfopen.scenario.target_spec import TargetSpec

#: Seconds without an acknowledgement that are worth a remark.
_WORTH_TELLING = 1.0


def as_table(
    how: Conditions,
    done: Sequence[RunResult],
    wall: float,
    servers: Mapping[str, tuple[TargetSpec, str]],
    left_out: Sequence[str],
) -> dict[str, Any]:
    """The content of field.json. ``servers`` maps each name to its description and its report of versions."""
    common = record.conditions_as_table(how, wall)
    for of_one in ("target", "detector"):
        del common[of_one]
    return common | {
        "left_out": list(left_out),
        "targets": [_target(name, *of_it) for name, of_it in servers.items()],
        "runs": [_run(one) for one in done],
    }


def _target(name: str, spec: TargetSpec, versions: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": spec.title or name,
        "file": spec.file,
        "command": spec.server,
        "edge": spec.edge,
        "versions": versions,
    }


def _run(done: RunResult) -> dict[str, Any]:
    held = done.verdict.klass == "missed"
    return record.run_as_table(done) | {
        "target": done.job.candidate,
        **comparison.latency_as_table(done),
        "stacks": printed_stacks.printed(done.timeline) if held else [],
        "complaints": printed_stacks.complaints(done.timeline) if held else [],
        "known_at_reap": known_at_reap(done) if done.verdict.klass == "false_reap" else None,
    }


def known_at_reap(done: RunResult) -> str | None:
    """Describe the server kernel's evidence on the client at the reap; None if the session was never seen."""
    samples = evidence.established(done.timeline)
    if not samples:
        return None
    last, longest, stall = samples[-1], evidence.longest_stall(samples), evidence.last_stall(samples)
    parts = [f"{show_bytes(evidence.acknowledged(samples))} acknowledged"]
    if longest is not None:
        parts.append(f"at most {show_duration(round(longest.seconds, 1))} apart")
    if stall is not None and stall.seconds >= _WORTH_TELLING:
        parts.append(f"none in the last {show_duration(round(stall.seconds, 1))}")
    if last.outq:
        parts.append(f"{show_bytes(last.outq)} queued")
    parts.append(f"last packet from the client {show_duration(round(last.last_ack_recv / 1000, 1))} before")
    return ", ".join(parts)
