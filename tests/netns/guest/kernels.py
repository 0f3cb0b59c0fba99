"""A kernel in the cache as a build leaves it there, except that its program is another."""

from __future__ import annotations

import shutil
from pathlib import Path

from halfopen.netns.guest import cache, recipe
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.patches.seeding import make_seedable
from tests.netns.guest.patches.test_seeding import tree


def keep(place: Path, *, program: str = "/bin/true", version: str = "6.9.7", seeded: bool = True) -> GuestKernel:
    """Keep a kernel. XDG_CACHE_HOME must name a cache of the test's own."""
    source = tree(place / "source")
    for name in recipe.LICENSES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("the license\n")
    (source / ".config").write_text("CONFIG_64BIT=y\n# CONFIG_SMP is not set\n")
    before = recipe.texts(source)
    assert make_seedable(source)
    tarball = place / "linux-source-6.9.tar.xz"
    tarball.write_text("a tarball")
    product = place / "product"
    product.mkdir()
    shutil.copy(program, product / cache.PROGRAM)
    name = "linux-source-6.9 6.9.7-1"
    recipe.write(product / recipe.FOLDER, source, before, name, tarball, version)
    return cache.keep(product / cache.PROGRAM, source=name, version=version, seeded=seeded)
