"""With only the wheels, no compiler and an empty cache, the matrix runs on the virtual clock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from halfopen.netns.guest import cache
from tests.harness.cli.tool import halfopen, results

BUILT = cache.built()

pytestmark = [
    pytest.mark.skipif(BUILT is None, reason="there is no built guest kernel to pack: halfopen kernel build"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump (binutils) is not installed"),
]

_COMPILES = re.compile(r"(.*-)?(gcc|g\+\+|cc|c\+\+|c89|c99|cpp|clang|tcc|make|as|ld)(-[\d.]+)?")


def without_a_compiler(place: Path) -> Path:
    """Return a folder for PATH with all programs of this machine except compilers and linkers."""
    place.mkdir()
    for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(folder).glob("*"):
            link = place / program.name
            if not _COMPILES.fullmatch(program.name) and not link.is_symlink():
                link.symlink_to(program)
    return place


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    out: str = done.stdout
    return out


def test_the_matrix_runs_from_the_wheels_without_a_compiler(tmp_path: Path, repository: Path) -> None:
    assert BUILT is not None
    wheels = tmp_path / "dist"
    packed = halfopen("kernel", "wheel", "--out", str(wheels))
    assert packed.out.startswith(f"wrote {wheels}/halfopen_kernel-{BUILT.version}.{BUILT.recipe}-py3-none-manylinux_2_")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", wheels, repository)

    venv = tmp_path / "venv"
    path = str(without_a_compiler(tmp_path / "programs"))
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))
    }
    environment = clean | {"PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert shutil.which("cc", path=path) is None
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    (halfopens,) = wheels.glob("halfopen-*.whl")
    asked = f"halfopen[kernel] @ {halfopens.as_uri()}"
    run(*pip, "--python", venv, "install", "--find-links", wheels, asked, env=os.environ | {"PATH": path})

    tool = venv / "bin" / "halfopen"
    info = run(tool, "kernel", "info", "--require", "installed", env=environment, cwd=tmp_path)
    (program,) = venv.rglob("halfopen_kernel/linux")
    assert f"installed: Linux {BUILT.version} of halfopen-kernel " in info
    assert f"\n  {program}\n" in info
    assert "\nbuilt: none; " in info

    run(tool, "run", "--clock", "virtual", "--out", tmp_path / "out", env=environment, cwd=tmp_path)
    report = results(tmp_path / "out")
    assert report["kernel"] == BUILT.version
    assert len(report["runs"]) == 5
    assert not (tmp_path / "cache" / "halfopen" / "kernels").exists()
