"""Plug-ins, one file each. The modules of a package are its catalogue, under their names with dashes."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from halfopen.errors import InputError, suggest


def names(package: ModuleType) -> list[str]:
    """Return the names of a package's plug-ins: its modules, except those that begin with an underscore."""
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def load(package: ModuleType, name: str, noun: str, needs: tuple[str, ...] = ()) -> ModuleType:
    """Load the plug-in ``name`` of ``package``.

    An InputError calls it a ``noun``. ``needs`` lists the attributes it must have. A name with a dot is the import path
    of a module outside the package.
    """
    module = _import(package, name, noun)
    lacking = [need for need in needs if not hasattr(module, need)]
    if lacking:
        raise InputError(f"module {name!r} is no {noun}: it has no {' and no '.join(lacking)}")
    return module


def _import(package: ModuleType, name: str, noun: str) -> ModuleType:
    if "." in name:
        # Like python -m, look for the user's own module in the current directory.
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
        try:
            return importlib.import_module(name)
        except (ImportError, TypeError, ValueError) as error:
            raise InputError(f"cannot import {noun} {name!r}: {error}") from None
    if name not in names(package):
        raise InputError(f"unknown {noun} {name!r}; {suggest(name, names(package))}")
    return importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}")
