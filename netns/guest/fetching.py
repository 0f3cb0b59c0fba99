"""Fetches the distribution's own guest kernel, the package user-mode-linux: for a real clock, without building."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from netns.errors import GuestError
from netns.guest import cache, packages
from netns.guest.cache import GuestKernel

PACKAGE = "user-mode-linux"
_INSTEAD = f"give the file of Debian's package {PACKAGE} with --package FILE"


def source(package: Path | None) -> str:
    """What the kernel of a package's file, or of apt's package, is called; raises GuestError if there is neither."""
    if package is None:
        return f"{PACKAGE} {packages.candidate(PACKAGE, _INSTEAD)}"
    try:
        with package.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise GuestError(
            f"--package {str(package)!r} cannot be read: {why}; name one such as {PACKAGE}_6.1um4_amd64.deb"
        ) from None
    return f"{package.name} sha256:{digest[:16]}"


def fetch(name: str, package: Path | None) -> GuestKernel:
    """Unpack the package's file, or download apt's, and put its kernel called ``name`` into the cache.

    Raises GuestError. What is not finished leaves nothing in the cache.
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
