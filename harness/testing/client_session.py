"""The session of a test's client: the server kernel's view of it, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from halfopen.testing.client import Client
from halfopen.testing.messages import Judgement, JudgeSession, ReadSocket, SocketSeen

__all__ = ["ClientSession", "Outcome"]


@dataclass(eq=False, repr=False)
class Outcome:
    """The outcome of a session, true if it is the one asked for. The test must check it, or fails."""

    question: str
    """The question, in readable form."""
    why: str
    """One sentence with the evidence."""
    session: Literal["reaped", "kept", "closed", "refused"]
    reason: str | None
    """The server's reason for the end, if it gives any."""
    detection: float | None
    """Seconds from the onset of the stall to the reap; None if either is missing."""
    ended_at: float | None
    """End of the server's side, seconds from the session's start; None if it did not end."""
    stuck_bytes: int
    """The most bytes seen queued in the server's socket after the onset."""
    is_expected: bool
    expected: str
    was_looked_at: bool = False
    """True once the test has checked it."""

    def __bool__(self) -> bool:
        self.was_looked_at = True
        return self.is_expected

    def __repr__(self) -> str:
        return f"<{self.why}>" if self.is_expected else f"<{self.why}; expected: {self.expected}>"


class ClientSession:
    """A client's session at its server, as the server's kernel sees it."""

    def __init__(self, client: Client, outcomes: list[Outcome]) -> None:
        """Every outcome is added to ``outcomes``."""
        self._client = client
        self._outcomes = outcomes

    def __repr__(self) -> str:
        return f"<session of client {self._client.number + 1}>"

    def reaped(
        self,
        within: str = "grace + poll + 1s",
        *,
        since: Literal["onset", "fault"] = "onset",
        reason: str | None = None,
    ) -> Outcome:
        """True if the server ends the session in time; returns as soon as that is known.

        ``within`` counts from the onset of the stall if there is one, else from the fault, or as ``since`` says.
        ``reason`` is the one the server must give, if it gives any.
        """
        __tracebackhide__ = True
        request = JudgeSession(self._client.number, "reaped", within, since, reason)
        return self._outcome(request, f"reaped(within={within!r})")

    def kept(self, for_: str = "2.6 * grace") -> Outcome:
        """True if the server still has the session after ``for_``, counted from the last action on the client."""
        __tracebackhide__ = True
        return self._outcome(JudgeSession(self._client.number, "kept", for_), f"kept(for_={for_!r})")

    def closed(self, within: str = "grace + poll + 1s") -> Outcome:
        """True if either side closes the session as the protocol requires; ``within`` counts from the fault."""
        __tracebackhide__ = True
        return self._outcome(JudgeSession(self._client.number, "closed", within), f"closed(within={within!r})")

    def served(
        self,
        longest_gap: str = "2s",
        *,
        received_at_least: str | None = None,
        for_: str = "2.6 * grace",
    ) -> Outcome:
        """True if the session is open, and data keeps coming with no gap of more than ``longest_gap``.

        Pings are no data. ``for_`` counts from the last action on any client of the server, so that it covers what a
        neighbour's fault does to this client, and its reap. Data is also observed for ``longest_gap`` from now on. Gaps
        count from the last action on this client. ``received_at_least`` is the least data received in all.
        """
        __tracebackhide__ = True
        request = JudgeSession(
            self._client.number, "kept", for_, longest_gap=longest_gap, received_at_least=received_at_least
        )
        least = "" if received_at_least is None else f", received_at_least={received_at_least!r}"
        return self._outcome(request, f"served(longest_gap={longest_gap!r}{least}, for_={for_!r})")

    def _outcome(self, request: JudgeSession, question: str) -> Outcome:
        """Return the outcome. Fails the test if it proves nothing, whatever the test would have asserted."""
        __tracebackhide__ = True
        judgement = self._client.channel.ask(request, Judgement)
        if judgement.word == "inconclusive":
            pytest.fail(f"halfopen: {judgement.why} (inconclusive; expected: {judgement.expected})")
        outcome = Outcome(
            question=question,
            why=judgement.why,
            session=judgement.outcome,
            reason=judgement.reason,
            detection=judgement.detection,
            ended_at=judgement.ended_at,
            stuck_bytes=judgement.stuck_bytes,
            is_expected=judgement.word == "passed",
            expected=judgement.expected,
        )
        self._outcomes.append(outcome)
        return outcome

    def _socket(self) -> SocketSeen:
        __tracebackhide__ = True
        return self._client.channel.ask(ReadSocket(self._client.number), SocketSeen)

    @property
    def queued(self) -> int:
        """Bytes in the server's socket that the peer has not acknowledged (SIOCOUTQ, tcp(7))."""
        __tracebackhide__ = True
        return self._socket().queued

    @property
    def acknowledged(self) -> int:
        """Bytes that the peer has acknowledged since the connection began (tcpi_bytes_acked)."""
        __tracebackhide__ = True
        return self._socket().acknowledged

    @property
    def state(self) -> str:
        """State of the server's socket by the kernel's name, ``CLOSE`` once it is gone."""
        __tracebackhide__ = True
        return self._socket().state
