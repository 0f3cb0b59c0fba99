"""A wheel of a built kernel (PEP 427, with the platform tags of PEP 600).

The kernel is linked with the machine's C library, as most wheels are, and pip installs it if the target's is new
enough. A static one would run anywhere, but would have to offer the C library's source too.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import stat
import zipfile
from pathlib import Path

from halfopen.netns.guest import cache, recipe
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.packages import ask
from halfopen.netns.lab_errors import GuestError

DISTRIBUTION = "halfopen-kernel"

#: objdump(1)'s name of each machine -> that of platform tags. User-Mode Linux has no others with 64 bits.
_MACHINES = {"elf64-x86-64": "x86_64"}
#: Libraries that a kernel may need, since every manylinux machine has them (PEP 513, 600).
_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libdl.so.2"}
#: The first date of zip files. With it the same kernel makes the same wheel.
_DATE = (1980, 1, 1, 0, 0, 0)

_INIT = '"""The guest kernel of halfopen, as files; see source/README.md."""\n'
_WHEEL = """\
Wheel-Version: 1.0
Generator: halfopen
Root-Is-Purelib: false
Tag: {tag}
"""
_METADATA = """\
Metadata-Version: 2.4
Name: {distribution}
Version: {version}
Summary: The guest kernel of halfopen: Linux as a program (User-Mode Linux), with a virtual clock.
License-Expression: GPL-2.0-only
{license_files}
Classifier: Operating System :: POSIX :: Linux
Requires-Python: >=3.8
Description-Content-Type: text/markdown

The guest kernel that halfopen runs labs in, ready to boot. Install it with `pip install 'halfopen[kernel]'`.

{readme}"""


def write(kernel: GuestKernel, out: Path) -> Path:
    """Write the wheel of a built ``kernel`` into the folder ``out``; raises GuestError."""
    _require_fit(kernel)
    if shutil.which("objdump") is None:
        raise GuestError("making a wheel needs objdump; install with: sudo apt-get install binutils")
    tag = f"py3-none-{platform(ask('objdump', '-p', str(kernel.program)))}"
    version = cache.wheel_version(kernel)
    package, info = Path(cache.PACKAGE), f"{cache.PACKAGE}-{version}.dist-info"
    folder = kernel.program.parent
    content = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {str(package / file.relative_to(folder)): file.read_bytes() for file in content}
    files[str(package / "__init__.py")] = _INIT.encode()
    licenses = [Path(name).name for name in recipe.LICENSES]
    for name in licenses:
        files[f"{info}/licenses/{name}"] = (folder / recipe.FOLDER / name).read_bytes()
    files[f"{info}/METADATA"] = _METADATA.format(
        distribution=DISTRIBUTION,
        version=version,
        license_files="\n".join(f"License-File: {name}" for name in licenses),
        readme=(folder / recipe.FOLDER / "README.md").read_text(),
    ).encode()
    files[f"{info}/WHEEL"] = _WHEEL.format(tag=tag).encode()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"{cache.PACKAGE}-{version}-{tag}.whl"
    _zip(wheel, files, executable=str(package / cache.PROGRAM))
    return wheel


def platform(headers: str) -> str:
    """Return the platform tag that a program satisfies, from the output of ``objdump -p``; raises GuestError."""
    machine = re.search(r"file format (\S+)", headers)
    versions = [int(minor) for minor in re.findall(r"\bGLIBC_2\.(\d+)", headers)]
    libraries = set(re.findall(r"^\s+NEEDED\s+(\S+)", headers, re.MULTILINE))
    if machine is None or machine[1] not in _MACHINES or not versions:
        raise GuestError("this kernel fits no wheel: it is not for x86_64 and glibc; build it on such a machine")
    if libraries - _LIBRARIES:
        raise GuestError(
            f"this kernel fits no wheel: it needs {', '.join(sorted(libraries - _LIBRARIES))}, which not every "
            "machine has; build it with: halfopen kernel build"
        )
    return f"manylinux_2_{max(versions)}_{_MACHINES[machine[1]]}"


def _require_fit(kernel: GuestKernel) -> None:
    if not re.fullmatch(r"\d+(\.\d+)+", kernel.version):
        raise GuestError(
            f"Linux {kernel.version} is no release, so a wheel cannot have its version; build another source"
        )
    if not (kernel.program.parent / recipe.FOLDER / "README.md").is_file():
        raise GuestError(
            f"the kernel {str(kernel.program)!r} has no source beside it; remove its folder and build it again"
        )
    if not kernel.seeded:
        raise GuestError(f"Linux {kernel.version} could not be seeded; build a wheel's kernel of another source")


def _record(files: dict[str, bytes], record: str) -> bytes:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{record},,\n"]).encode()


def _zip(wheel: Path, files: dict[str, bytes], *, executable: str) -> None:
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if name == executable else 0o644)) << 16
            archive.writestr(entry, content)
