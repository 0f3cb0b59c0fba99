"""Says which versions of the distributions named on the command line are installed, and of what Python."""

import platform
import sys
from importlib.metadata import version

print(", ".join([*(f"{name} {version(name)}" for name in sys.argv[1:]), f"Python {platform.python_version()}"]))
