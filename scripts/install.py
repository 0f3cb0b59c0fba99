"""Install a project with this Python's pip, and report progress in a few lines where pip prints hundreds.

python scripts/install.py '.[dev]' LOG
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path

#: Seconds between two progress lines.
_EVERY = 10.0
_COLLECTING = "Collecting "
_INSTALLING = "Installing collected packages: "
#: Overrides a user's settings for installing elsewhere.
_ENVIRONMENT = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off"}


class _Progress:
    """Progress of an installation, from pip's output and the installed packages."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._collected = 0
        self._before = 0
        self._to_install: int | None = None

    def follow(self, line: str) -> None:
        """Read one line of pip's output."""
        if line.startswith(_COLLECTING):
            self._collected += 1
        elif line.startswith(_INSTALLING):
            self._before = _installed()
            self._to_install = line.removeprefix(_INSTALLING).count(",") + 1
            self.say(f"installing {_packages(self._to_install)}")

    def remind(self) -> None:
        """Report the progress."""
        if self._to_install is None:
            self.say(f"{_packages(self._collected)} found, after {self.elapsed}")
        else:
            self.say(f"{_installed() - self._before} of {self._to_install} installed, after {self.elapsed}")

    @property
    def elapsed(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"

    def say(self, sentence: str) -> None:
        print(f"halfopen setup: {sentence}", file=sys.stderr, flush=True)


def _packages(count: int) -> str:
    return f"{count} package{'' if count == 1 else 's'}"


def _installed() -> int:
    return len(list(Path(sysconfig.get_path("purelib")).glob("*.dist-info")))


def _problem(output: list[str]) -> str:
    """Return the first error in pip's output, or else its last line."""
    errors = [line.strip() for line in output if line.upper().lstrip().startswith("ERROR")]
    return (errors or [line.strip() for line in output[-1:]] or ["it said nothing"])[0]


def install(project: str, log: Path) -> int:
    """Install the project, editable. Return pip's exit code."""
    progress = _Progress()
    progress.say("looking for the packages that a run needs" + (", and for those of tests" if project != "." else ""))
    output: list[str] = []
    with log.open("w") as file, _pip("install", "--no-color", "--editable", project) as pip, _reminding(progress):
        for line in pip.stdout or ():
            file.write(line)
            output.append(line)
            progress.follow(line)
    if pip.returncode:
        progress.say(f"{project} cannot be installed: {_problem(output)}; all that pip says is in {log}")
    else:
        progress.say(f"ready after {progress.elapsed}")
    return pip.returncode


def _pip(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pip", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | _ENVIRONMENT,
        text=True,
        errors="replace",
    )


@contextlib.contextmanager
def _reminding(progress: _Progress) -> Iterator[None]:
    """Report progress at intervals, since pip prints nothing while it installs."""
    ended = threading.Event()

    def remind() -> None:
        while not ended.wait(_EVERY):
            progress.remind()

    thread = threading.Thread(target=remind)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    try:
        sys.exit(install(sys.argv[1], Path(sys.argv[2])))
    except KeyboardInterrupt:
        sys.exit(130)
