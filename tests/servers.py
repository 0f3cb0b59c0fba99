"""The servers of examples/, installed by scripts/servers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def _folder() -> Path | None:
    script = EXAMPLES.parent / "scripts" / "servers"
    asked = subprocess.run([script, "--where"], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip()) if asked.returncode == 0 else None


#: None if they are not installed.
FOLDER = _folder()


def has_go() -> bool:
    """True if the servers in Go are there too."""
    return FOLDER is not None and (FOLDER / "python" / "bin" / "gorilla-fixed").exists()


def environment() -> dict[str, str]:
    """Return our environment, changed so that a target's command finds the servers."""
    assert FOLDER is not None
    path = f"{FOLDER / 'python' / 'bin'}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "NODE_PATH": str(FOLDER / "node_modules")}
