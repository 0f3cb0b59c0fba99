"""Exit codes of ``halfopen``, whatever the command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of a command."""

    PASSED = 0
    """Everything passed. Of ``halfopen watch``: no session is stuck."""
    FAILED = 1
    """Something failed. Of ``halfopen watch``: a session is stuck."""
    USAGE = 2
    """The call or an input is wrong, and nothing was started."""
    INCONCLUSIVE = 3
    """Nothing failed, but something proves nothing."""
    GUEST = 69
    """The guest kernel was lost, or processes do not end although killed (EX_UNAVAILABLE, sysexits.h)."""
    BUG = 70
    """An error of ours (EX_SOFTWARE, sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and SIGINT, as in a shell."""
    TERMINATED = 143
    """128 and SIGTERM, as in a shell."""
