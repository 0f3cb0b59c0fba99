"""Run a whole pytest command in a guest kernel on the virtual clock, by repeating the same command there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.testing import plugin

_BUILD = "build it once with: halfopen kernel build, or take --halfopen-clock real"


def kernel(clock: str) -> GuestKernel | None:
    """Return the guest kernel for a clock (``real``, ``virtual``, ``auto``).

    Raises UsageError if it needs one and there is none.
    """
    if clock not in {"real", "virtual", "auto"}:
        raise pytest.UsageError(f"--halfopen-clock takes real, virtual or auto, got {clock!r}")
    found = None if clock == "real" else cache.newest()
    if clock == "virtual" and found is None:
        raise pytest.UsageError(f"--halfopen-clock virtual needs a guest kernel, and there is none; {_BUILD}")
    return found


def run(config: pytest.Config, seed: int) -> int:
    """Run this pytest's command in a guest and return its exit code. Its output goes to ours."""
    words = [sys.executable, "-P", "-m", "halfopen", "warp", "--seed", str(seed)]
    words += ["--wall-limit", config.getoption("halfopen_wall_limit"), "--memory", "2048MiB"]
    for folder in writable(config):
        words += ["--writable", str(folder)]
    # The seed also sets the order of sets and dicts.
    environment = {plugin.INSIDE: str(seed), "PYTHONHASHSEED": str(seed % 2**32)}
    capturing = config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled() if capturing else contextlib.nullcontext():
        return subprocess.call([*words, "--", *command(config)], env=os.environ | environment)


def command(config: pytest.Config) -> list[str]:
    """Return the command that started this pytest, with Python's options.

    If another program called pytest, return pytest's own command.
    """
    arguments = list(map(str, config.invocation_params.args))
    started = sys.orig_argv[1:]
    if arguments and started[-len(arguments) :] != arguments:
        return [sys.executable, "-m", "pytest", *arguments]
    return [sys.executable, *started]


def writable(config: pytest.Config) -> list[Path]:
    """Return the folders that pytest writes to, each of which exists.

    Raises UsageError if the user named one that does not.
    """
    here = config.invocation_params.dir
    named = [here / folder for folder in plugin.listed(config, "writable")]
    for folder in named:
        if not folder.is_dir():
            raise pytest.UsageError(f"--halfopen-writable {str(folder)!r} is no folder")
    folders = [config.rootpath, here, *named, *_of_files(config, here)]
    if (basetemp := config.getoption("basetemp", None)) is not None:
        # pytest deletes and recreates it, which works only inside a writable folder.
        folders.append((here / basetemp).parent)
    if config.pluginmanager.hasplugin("cacheprovider"):
        folders.append(config.rootpath / os.path.expandvars(config.getini("cache_dir")))
    return _outermost(_made(folder).resolve() for folder in folders)


def _of_files(config: pytest.Config, here: Path) -> Iterator[Path]:
    for name in ("xmlpath", "log_file"):
        if path := config.getoption(name, None):
            yield (here / Path(os.path.expandvars(path)).expanduser()).parent


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Drop the folders that lie in one of the others."""
    found = dict.fromkeys(folders)
    return [folder for folder in found if not any(other in folder.parents for other in found)]
