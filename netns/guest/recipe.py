"""The recipe of a built kernel: everything needed to build the same program again, as the GPL requires.

It is kept in the folder ``source`` beside the program: our changes as a patch, the configuration, the license, and a
README.md that names the tarball and the commands.
"""

from __future__ import annotations

import difflib
import hashlib
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from halfopen.netns.guest.patches import clock_reads, end_notices, failing_calls, headers, livelocks, registers, seeding

#: The configuration on top of allnoconfig.
FRAGMENT = Path(__file__).with_name("kernel.config")
#: In a kernel's folder, beside the program.
FOLDER = "source"
#: License files of a source tree.
LICENSES = ("COPYING", "LICENSES/preferred/GPL-2.0")

#: The command that builds, without its target.
MAKE = (
    "make",
    "ARCH=um",
    # The build's user and time are mixed into its random numbers (Documentation/kbuild/reproducible-builds.rst).
    "KBUILD_BUILD_TIMESTAMP=2000-01-01",
    "KBUILD_BUILD_USER=halfopen",
    "KBUILD_BUILD_HOST=halfopen",
    "KBUILD_BUILD_VERSION=1",
    # A guest spends its time on the machine's system calls; at -O1 the compiler takes a quarter less time.
    "KCFLAGS=-O1 -w",
)

PATCHES = (seeding, livelocks, registers, end_notices, clock_reads, failing_calls, headers)
_EDITED = tuple(dict.fromkeys(edit.file for patch in PATCHES for edit in patch.EDITS))

_README = """\
# The source of this kernel

This is Linux {version}, built as a program (User-Mode Linux). Its license is the GNU General Public License, version 2
(the files COPYING and GPL-2.0). Its complete source is:

- the tarball `{tarball}` of `{source}`, SHA-256 {digest};
- `halfopen.patch`, halfopen's changes to it;
- `kernel.config`, halfopen's configuration, and `config`, the whole one that came of it.

To build it again, in this folder and with the tarball in it:

    mkdir linux
    tar -xf {tarball} -C linux --strip-components=1
    patch -d linux -p1 <halfopen.patch
    {configure}
    {compile}
    strip linux/linux
"""


def texts(tree: Path) -> dict[str, str]:
    """Return the current files in ``tree`` that are edited; those that are added are empty before the edits."""
    there = {file: (tree / file).read_text() for file in (*_EDITED, *headers.NEW) if (tree / file).is_file()}
    return dict.fromkeys(headers.NEW, "") | there


def patch(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the difference between the texts of files, for ``patch -p1``."""
    return "".join(
        line
        for file, text in before.items()
        for line in difflib.unified_diff(
            text.splitlines(keepends=True), after[file].splitlines(keepends=True), f"a/{file}", f"b/{file}"
        )
    )


def write(folder: Path, tree: Path, before: Mapping[str, str], source: str, tarball: Path, version: str) -> None:
    """Write a recipe into a new ``folder``; ``before`` are the texts in ``tree`` before the edits."""
    folder.mkdir()
    for name in LICENSES:
        shutil.copy(tree / name, folder)
    shutil.copy(tree / ".config", folder / "config")
    shutil.copy(FRAGMENT, folder)
    (folder / "halfopen.patch").write_text(patch(before, texts(tree)))
    with tarball.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    make = shlex.join([*MAKE, "-C", "linux"])
    (folder / "README.md").write_text(
        _README.format(
            version=version,
            tarball=tarball.name,
            source=source,
            digest=digest,
            configure=f'{make} allnoconfig KCONFIG_ALLCONFIG="$PWD/kernel.config"',
            compile=f"{make} linux",
        )
    )
