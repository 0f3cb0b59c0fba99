"""The output of commands: a terminal, a pipe, a file, or a closed pipe."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Discard output from now on. The reader has seen enough, and the exit code stays that of the verdict."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """Return a console on stdout that highlights nothing by itself."""
    return _Console(highlight=False)
