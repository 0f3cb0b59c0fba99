"""The keys of a held session: which there are, and what each does."""

from __future__ import annotations

from dataclasses import dataclass

QUIT, HELP = "q", "?"


@dataclass(frozen=True, slots=True)
class Key:
    """One key."""

    key: str
    short: str
    """For the line at the bottom; empty where there is no room for it."""
    does: str
    """For the help."""


REAL = (
    Key("t", "thaw", "let the client's process go on"),
    Key("f", "freeze", "stop the client's process (again)"),
    Key("c", "cut", "drop all packets between client and server"),
    Key("h", "heal", "let them pass again; undo what else the scenario did to the path"),
    Key("d", "dump", "look at the server's threads, and ask the server for its sessions"),
    Key("w", "watchdog", "let the pod's watchdog go on, or hold it again"),
    Key("p", "pcap", "start a packet capture at the server, or stop it"),
    Key("s", "shell", "open a shell in the server's host"),
    Key("l", "", "open a shell in the client's host"),
    Key(HELP, "help", "show or hide this"),
    Key(QUIT, "quit", "end it all and leave nothing behind"),
)

#: Those that need somebody at a terminal.
SEATED = frozenset({"s", "l", HELP, QUIT})

#: On the virtual clock, which stands still: these let it go on.
PASSING = {"+": 1.0, ">": 10.0}
VIRTUAL = (
    Key("+", "1s", "let one second pass"),
    Key(">", "10s", "let ten seconds pass"),
    *(key for key in REAL if key.key not in {"s", "l"}),
)
