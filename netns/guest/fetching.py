"""Fetch the distribution's own guest kernel, the package user-mode-linux: for a real clock, without building."""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest import cache, packages
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import GuestError

PACKAGE = "user-mode-linux"
_INSTEAD = f"give the file of Debian's package {PACKAGE} with --package FILE"


def source(package: Path | None) -> str:
    """Return the name of the kernel in a package's file, or in apt's package; raises GuestError if there is neither."""
    if package is None:
        return f"{PACKAGE} {packages.candidate(PACKAGE, _INSTEAD)}"
    return packages.named_by_content(package, "--package", f"one such as {PACKAGE}_6.1um4_amd64.deb")


def fetch(name: str, package: Path | None) -> GuestKernel:
    """Unpack the package's file, or download apt's, and put its kernel into the cache under ``name``.

    Raises GuestError. An unfinished one leaves nothing in the cache.
    """
    with cache.workplace() as place:
        archive = package.absolute() if package else packages.download(PACKAGE, name.removeprefix(f"{PACKAGE} "), place)
        unpacked, product = place / "unpacked", place / "product"
        packages.unpack(archive, unpacked)
        program = unpacked / "usr" / "bin" / "linux.uml"
        modules = list((unpacked / "usr" / "lib" / "uml" / "modules").glob("*/modules.dep"))
        if not program.is_file() or len(modules) != 1:
            raise GuestError(f"{archive.name} holds no kernel where {PACKAGE} has it (usr/bin/linux.uml, usr/lib/uml)")
        product.mkdir()
        program.rename(product / cache.PROGRAM)
        version = modules[0].parent.name
        modules[0].parent.rename(product / cache.MODULES)
        return cache.keep(product / cache.PROGRAM, source=name, version=version, seeded=False, time_travel=False)
