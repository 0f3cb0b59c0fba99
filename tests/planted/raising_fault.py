"""A fault with a bug: it raises what nobody expects."""

from __future__ import annotations

from collections.abc import Iterator

from halfopen.faults._scene import NoOptions, Scene
from halfopen.model.evidence import Proof
from halfopen.model.timeline import Timeline

Options = NoOptions


def fault(_scene: Scene, _options: Options) -> Iterator[None]:
    raise ZeroDivisionError("planted")


def signature(_seen: Timeline) -> Proof:
    return Proof(True, "never asked")
