"""Run a command where the kernel refuses pidfd_getfd(2), as Yama or a container's seccomp profile does.

python tests/no_duplicates.py CMD ...
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.no_namespaces import ALLOW, ARCHITECTURE, FAIL, JUMP_IF_EQUAL, LOAD, NUMBER, RETURN, X86_64, refuse

PIDFD_GETFD = 438
PROGRAM = (
    (LOAD, 0, 0, ARCHITECTURE),
    (JUMP_IF_EQUAL, 0, 2, X86_64),
    (LOAD, 0, 0, NUMBER),
    (JUMP_IF_EQUAL, 1, 0, PIDFD_GETFD),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, FAIL | errno.EPERM),
)

if __name__ == "__main__":
    refuse(PROGRAM)
    os.execvp(sys.argv[1], sys.argv[1:])
