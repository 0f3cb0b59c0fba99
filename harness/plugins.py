"""Plugins, one file each. The modules of a package are its catalogue, under their names with dashes.

The package declares ``NOUN``, the word for one of them, and ``NEEDS``, the names that each module must have. A module's
``SUMMARY`` describes it in a line. The environment may name folders with more of them (HALFOPEN_PLUGINS, separated as
in PATH): ``faults/blink.py`` in such a folder is the fault "blink".
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from halfopen.errors import InputError, suggest

VARIABLE = "HALFOPEN_PLUGINS"


def names(package: ModuleType) -> list[str]:
    """Return the names of a package's plugins: its modules, except those that begin with an underscore."""
    for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        more = str(Path(folder, package.__name__.rpartition(".")[2]).absolute())
        if more not in package.__path__:
            package.__path__.append(more)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return sorted(name.replace("_", "-") for name in modules if not name.startswith("_"))


def summaries(package: ModuleType) -> dict[str, str]:
    """Return the summary of each of a package's plugins; raises InputError if one cannot be loaded."""
    return {name: getattr(load(package, name), "SUMMARY", "") for name in names(package)}


def load(package: ModuleType, name: str) -> ModuleType:
    """Load the plugin ``name`` of ``package``; raises InputError.

    A name with a dot is the import path of a module outside the package.
    """
    noun = package.NOUN
    path = name
    if "." not in name:
        if name not in (known := names(package)):
            raise InputError(f"unknown {noun} {name!r}; {suggest(name, known)}")
        path = f"{package.__name__}.{name.replace('-', '_')}"
    elif (here := str(Path.cwd())) not in sys.path:
        # Like python -m, look for the user's own module in the current directory.
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(path)
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(f"cannot import {noun} {name!r}: {error}") from None
    lacking = [need for need in package.NEEDS if not hasattr(module, need)]
    if lacking:
        raise InputError(f"module {name!r} is no {noun}: it has no {' and no '.join(lacking)}")
    return module
