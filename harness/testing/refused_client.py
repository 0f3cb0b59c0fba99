"""A client of a test that the server refused."""

from __future__ import annotations

from dataclasses import dataclass

from halfopen.model.journal import Journal
from halfopen.testing.messages import Reception
from halfopen.verdict import ends


@dataclass(frozen=True, slots=True)
class RefusedClient:
    """A client without a session, and all that its journal holds."""

    number: int
    behaviour: str
    journal: Journal

    def refusal(self) -> Reception:
        """Return the server's answer: of HTTP to the handshake, or a close frame before any data."""
        denied, closed = (self.journal.find("client", name) for name in ("refused", "close_received"))
        if denied is not None:
            return Reception(True, str(denied.data["why"]), status=denied.data.get("status"))
        assert closed is not None
        reason = str(closed.data.get("reason") or "") or None
        return Reception(True, ends.closing(closed), close_code=closed.data.get("code"), close_reason=reason)

    def history(self) -> list[str]:
        """Return the history as readable lines."""
        return [f"client {self.number} ({self.behaviour}): refused: {self.refusal().why}"]
