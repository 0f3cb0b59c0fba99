"""The session of a test's client: the server kernel's view of it, and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from halfopen.testing.client import Client
from halfopen.testing.messages import Answer, Question, SocketSeen

__all__ = ["ClientSession", "Outcome"]


class Outcome:
    """The outcome of a session, true if it is the one asked for. The test must check it, or fails."""

    def __init__(self, answer: Answer, question: str) -> None:
        self._answer = answer
        self._question = question
        self.was_looked_at = False
        """True once the test has checked it."""

    def __bool__(self) -> bool:
        self.was_looked_at = True
        return self._answer.word == "passed"

    def __repr__(self) -> str:
        answer = self._answer
        if answer.word == "passed":
            return f"<{answer.why}>"
        return f"<{answer.why}; expected: {answer.expected}>"

    @property
    def question(self) -> str:
        """The question, in readable form."""
        return self._question

    @property
    def why(self) -> str:
        """One sentence with the evidence."""
        return self._answer.why

    @property
    def session(self) -> Literal["reaped", "kept", "closed"]:
        """Outcome of the session."""
        return self._answer.outcome

    @property
    def reason(self) -> str | None:
        """The server's reason for the end, if it gives any."""
        return self._answer.reason

    @property
    def detection(self) -> float | None:
        """Seconds from the onset of the stall to the reap; None if either is missing."""
        return self._answer.detection

    @property
    def ended_at(self) -> float | None:
        """End of the server's side, seconds from the session's start; None if it did not end."""
        return self._answer.ended_at

    @property
    def stuck_bytes(self) -> int:
        """The most bytes seen queued in the server's socket after the onset."""
        return self._answer.stuck_bytes


class ClientSession:
    """A client's session at its server, as the server's kernel sees it."""

    def __init__(self, client: Client, ask: Callable[[Question, str], Outcome], look: Callable[[], SocketSeen]) -> None:
        self._client = client
        self._ask = ask
        self._look = look

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
        question = Question(self._client.number, "reaped", within=within, since=since, reason=reason)
        return self._ask(question, f"reaped(within={within!r})")

    def kept(self, for_: str = "2.6 * grace") -> Outcome:
        """True if the server still has the session after ``for_``, counted from the last action on the client."""
        __tracebackhide__ = True
        return self._ask(Question(self._client.number, "kept", hold=for_), f"kept(for_={for_!r})")

    def closed(self, within: str = "grace + poll + 1s") -> Outcome:
        """True if either side closes the session as the protocol requires; ``within`` counts from the fault."""
        __tracebackhide__ = True
        return self._ask(Question(self._client.number, "closed", within=within), f"closed(within={within!r})")

    @property
    def queued(self) -> int:
        """Bytes in the server's socket that the peer has not acknowledged (SIOCOUTQ, tcp(7))."""
        __tracebackhide__ = True
        return self._look().queued

    @property
    def acknowledged(self) -> int:
        """Bytes that the peer has acknowledged since the connection began (tcpi_bytes_acked)."""
        __tracebackhide__ = True
        return self._look().acknowledged

    @property
    def state(self) -> str:
        """State of the server's socket by the kernel's name, ``CLOSE`` once it is gone."""
        __tracebackhide__ = True
        return self._look().state
