"""A client with a bug: it ends with a traceback after its first megabyte."""

from __future__ import annotations

from halfopen.clients import draining

Options = draining.Options
signature = draining.signature


class Behaviour(draining.Behaviour):
    def acknowledgement(self, received: int) -> None:
        assert received < 1_000_000, "planted"
