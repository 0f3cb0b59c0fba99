"""Messages between a test and its lab: a JSON line for each request, and one for each reply."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from halfopen.scenario.spec import Outcome
from halfopen.spawn.peers import PeerUp, Refused
from halfopen.verdict.judge import Word

Written = str | int | float
"""A duration as written in a test: with a unit, or else refused when read."""


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """Make a lab; answered by :class:`PeerUp`."""

    name: str
    """Name of the test."""
    seed: int
    grace: Written
    poll: Written


class Serve(msgspec.Struct, frozen=True, tag="serve"):
    """Start a server; answered by :class:`Done`."""

    target: dict[str, Any]
    """Keys of a ``[target]`` table (halfopen.scenario.target_spec), or none: the pod."""
    ready: Written
    file: str | None = None
    """A file with such a table, for the keys that ``target`` lacks."""
    written_in: str | None = None
    """The file that ``target`` was written in. Its command runs beside it."""
    detector: str | None = None
    pod: dict[str, Any] = {}
    """Options of the pod, as in a scenario, and of its detector (halfopen.targets.pod.DetectorOptions)."""


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Connect a client and wait until it is seen to stream; answered by :class:`Done`."""

    server: int
    client: dict[str, Any]
    """As in a scenario: ``behaviour`` and its options."""
    link: dict[str, Any]
    settle: Written
    """Longest wait."""
    headers: dict[str, str] = {}
    """Headers of this client, beside the server's."""
    query: str = ""
    """Addition to the query of the URL."""
    user: str | None = None
    """Name of the user that it is for the server; None: its own name."""
    host: int | None = None
    """Client whose host, address and link it shares; None: a host of its own."""
    refused: bool = False
    """True if the server must refuse it; answered by :class:`Reception`."""


class BeginFault(msgspec.Struct, frozen=True, tag="begin"):
    """Begin a fault; answered by :class:`Done` with the number of its step."""

    client: int
    fault: str
    options: dict[str, Any]


class UndoFault(msgspec.Struct, frozen=True, tag="undo"):
    """Undo a fault; answered by :class:`Done`."""

    client: int
    step: int


class JudgeSession(msgspec.Struct, frozen=True, tag="judge"):
    """Observe until the session's outcome is clear; answered by :class:`Judgement`."""

    client: int
    session: Outcome
    duration: Written
    """Longest time until the end, or shortest time to be kept."""
    since: Literal["onset", "fault"] = "onset"
    reason: str | None = None
    longest_gap: Written | None = None
    """Longest time without received data; None: any."""
    received_at_least: Written | None = None
    """Least data received; None: any."""


class ReadSocket(msgspec.Struct, frozen=True, tag="socket"):
    """Request the kernel's current view of a session; answered by :class:`SocketSeen`."""

    client: int


class ReadHistory(msgspec.Struct, frozen=True, tag="history"):
    """Request the history so far; answered by :class:`HistoryLines`."""


Request = Opening | Serve | Connect | BeginFault | UndoFault | JudgeSession | ReadSocket | ReadHistory


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Done. ``number`` is that of the new object."""

    number: int = 0


class Reception(msgspec.Struct, frozen=True, tag="reception"):
    """The server's answer to a client that it must refuse."""

    is_refused: bool
    why: str
    status: int | None = None
    close_code: int | None = None
    close_reason: str | None = None


class SocketSeen(msgspec.Struct, frozen=True, tag="seen"):
    """The server's socket, in the kernel's terms."""

    state: str
    """``CLOSE`` once the socket is gone."""
    queued: int
    acknowledged: int


class Judgement(msgspec.Struct, frozen=True, tag="judgement"):
    """The outcome of a session, and the verdict on it."""

    word: Word
    why: str
    expected: str
    outcome: Outcome
    reason: str | None
    ended_at: float | None
    detection: float | None
    stuck_bytes: int


class HistoryLines(msgspec.Struct, frozen=True, tag="lines"):
    """The history in readable lines."""

    lines: list[str]


class Lacking(msgspec.Struct, frozen=True, tag="lacking"):
    """This machine lacks what a request needs. ``why`` names it, and the command that helps."""

    why: str


Reply = PeerUp | Done | Reception | SocketSeen | Judgement | HistoryLines | Lacking | Refused
