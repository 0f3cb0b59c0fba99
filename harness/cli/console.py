"""Where commands print: a terminal, a pipe, a file, or nobody any more."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Print to nobody from now on: whoever read has seen enough, and the exit code is the verdict's alone."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    """A console on stdout that marks up nothing by itself."""
    return _Console(highlight=False)
