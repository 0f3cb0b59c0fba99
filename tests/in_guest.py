"""Run a function in a guest kernel, as root and on the virtual clock. netem is there, and waiting costs nothing."""

from __future__ import annotations

import functools
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
T = TypeVar("T")

_ROOT = Path(__file__).parent.parent
_ANSWER = "import sys; from tests import in_guest; in_guest.answer(sys.argv[1])"


def in_guest(body: Callable[P, T]) -> Callable[P, T]:
    """Run a test, or another function of a test's module, in its own guest. That takes a second or two.

    Arguments and results must be picklable. If the function fails, its traceback is shown.
    """

    @functools.wraps(body)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with tempfile.TemporaryDirectory() as folder:
            question = pickle.dumps((body.__module__, body.__qualname__, args, kwargs))
            Path(folder, "question").write_bytes(question)
            ran = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "halfopen",
                    "warp",
                    "--writable",
                    folder,
                    "--",
                    sys.executable,
                    "-c",
                    _ANSWER,
                    folder,
                ],
                cwd=_ROOT,
                env=os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"},
                capture_output=True,
                text=True,
                check=False,
            )
            answer = Path(folder, "answer")
            if not answer.exists():
                pytest.fail(f"the guest ended with exit code {ran.returncode}: {ran.stdout}{ran.stderr}", pytrace=False)
            story, value = pickle.loads(answer.read_bytes())
        if story:
            pytest.fail(f"{story}{ran.stdout}{ran.stderr}", pytrace=False)
        result: T = value
        return result

    return wrapper


def answer(folder: str) -> None:
    """In the guest, call the function and store its result, or its traceback."""
    module, name, args, kwargs = pickle.loads(Path(folder, "question").read_bytes())
    story, value = "", None
    try:
        value = getattr(importlib.import_module(module), name).__wrapped__(*args, **kwargs)
    except BaseException:  # noqa: BLE001 (told to pytest outside)
        story = traceback.format_exc()
    # Written under another name first, so that a visible answer is complete.
    half = Path(folder, "half")
    half.write_bytes(pickle.dumps((story, value)))
    half.rename(Path(folder, "answer"))
