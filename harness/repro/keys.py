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
    KeyStroke("t", "thaw", "let the client's process go on"),
    KeyStroke("f", "freeze", "stop the client's process (again)"),
    KeyStroke("c", "cut", "drop all packets between client and server"),
    KeyStroke("h", "heal", "let them pass again; undo what else the scenario did to the path"),
    KeyStroke("d", "dump", "look at the server's threads, and ask the server for its sessions"),
    KeyStroke("w", "watchdog", "let the pod's watchdog go on, or hold it again"),
    KeyStroke("p", "pcap", "start a packet capture at the server, or stop it"),
    KeyStroke("s", "shell", "open a shell in the server's host"),
    KeyStroke("l", "", "open a shell in the client's host"),
    KeyStroke(HELP, "help", "show or hide this"),
    KeyStroke(QUIT, "quit", "end it all and leave nothing behind"),
)

#: Keys that open a shell. A shell needs the terminal, and a host on this machine's kernel.
SHELLS = frozenset({"s", "l"})
NO_SHELLS = "a guest kernel has no shells; they are to be had on the real clock (--clock real)"

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
            return f"{key!r} needs somebody at a terminal"
        if key not in known:
            there_are = " ".join(one for one in known if at_terminal or one not in (*SHELLS, HELP))
            return f"{named(key)!r} is no key; there are {there_are}"
    return None
