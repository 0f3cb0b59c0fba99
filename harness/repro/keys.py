"""The keys of a held session and their effects."""

from __future__ import annotations

from dataclasses import dataclass

QUIT, HELP = "q", "?"


@dataclass(frozen=True, slots=True)
class KeyStroke:
    """One key."""

    key: str
    short: str
    """Label for the line at the bottom; empty if there is no room for it."""
    does: str
    """Text for the help."""


REAL = (
    KeyStroke("t", "thaw", "thaw the client's process"),
    KeyStroke("f", "freeze", "freeze the client's process"),
    KeyStroke("c", "cut", "drop all packets between client and server"),
    KeyStroke("h", "heal", "undo the cut, and everything else done to the path or the server"),
    KeyStroke("d", "dump", "read the server's threads, and ask for its sessions"),
    KeyStroke("w", "watchdog", "release the pod's watchdog, or hold it again"),
    KeyStroke("p", "pcap", "start or stop a packet capture at the server"),
    KeyStroke("s", "shell", "open a shell in the server's host"),
    KeyStroke("l", "", "open a shell in the client's host"),
    KeyStroke(HELP, "help", "show or hide this help"),
    KeyStroke(QUIT, "quit", "quit, and leave nothing behind"),
)

#: Keys that open a shell. A shell needs the terminal, and a host on this machine's kernel.
SHELLS = frozenset({"s", "l"})
NO_SHELLS = "a guest kernel has no shells; use the real clock (--clock real)"

#: Keys that let time pass on the virtual clock, which otherwise stands still. Values are seconds.
PASSING = {"+": 1.0, ">": 10.0}
VIRTUAL = (
    KeyStroke("+", "1s", "let one second pass"),
    KeyStroke(">", "10s", "let ten seconds pass"),
    *(key for key in REAL if key.key not in {"s", "l"}),
)

_NAMES = {"\t": "Tab", "\n": "Enter", "\r": "Enter", " ": "Space", "\x7f": "Backspace"}


def named(key: str) -> str:
    """Return the label of a key that was pressed."""
    if key in _NAMES:
        return _NAMES[key]
    if key < " ":
        return f"Ctrl-{chr(ord(key) + ord('@'))}"
    return key if key.isprintable() else repr(key)[1:-1]


def why_not(keys: str, *, is_virtual: bool, at_terminal: bool) -> str | None:
    """Return why these keys cannot be pressed in advance; None if they can."""
    known = [one.key for one in (VIRTUAL if is_virtual else REAL)]
    for key in keys:
        if is_virtual and key in SHELLS:
            return f"{key!r}: {NO_SHELLS}"
        if not at_terminal and key in (*SHELLS, HELP):
            return f"{key!r} needs a user at a terminal"
        if key not in known:
            usable = " ".join(one for one in known if at_terminal or one not in (*SHELLS, HELP))
            return f"{named(key)!r} is not a key; the keys are {usable}"
    return None
