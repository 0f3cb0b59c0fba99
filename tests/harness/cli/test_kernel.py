from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path

import pytest
from rich.console import Console

from halfopen.cli import app, kernel
from halfopen.netns.guest import building, cache, sources
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.sources import Package
from tests.harness.cli.tool import Ran, halfopen
from tests.netns.guest import apt

#: An apt-cache with one kernel source.
SOURCES = """case $1 in
search) echo "linux-source-6.9 - Linux kernel source for version 6.9" ;;
policy) printf 'linux-source-6.9:\\n  Candidate: 6.9.7-1\\n' ;;
esac"""


def built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, source: str, version: str = "6.9.7", seeded: bool = True
) -> GuestKernel:
    """Make a private cache with a kernel that is only a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "product" / "linux"
    program.parent.mkdir()
    program.touch()
    return cache.keep(program, source=source, version=version, seeded=seeded)


def install(kernel: GuestKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a copy of the kernel where Python finds it as the package in its wheel. Return the program's path."""
    package = tmp_path / "site" / cache.PACKAGE
    shutil.copytree(kernel.program.parent, package)
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
    return package / "linux"


def stand_in_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with do-nothing programs that have the names of all the build tools."""
    monkeypatch.setenv("PATH", "/nowhere")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in building.missing_tools():
        (tools / name).symlink_to("/bin/true")
    return tools


def test_a_kernel_that_is_there_is_told_and_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = built(tmp_path, monkeypatch, source="linux-source-6.9 6.9.7-1")
    calls = apt.pretend(monkeypatch, tmp_path, policy=SOURCES, download="exit 1")
    ran = halfopen("kernel", "build")
    assert ran == Ran(0, f"the guest kernel is there: Linux 6.9.7, {kernel.program}\n", "")
    assert "apt-cache" in calls.read_text()
    assert "download" not in calls.read_text()
    assert halfopen("kernel", "info").out.startswith("built: Linux 6.9.7, of linux-source-6.9 6.9.7-1; ")


def test_a_newer_one_than_apts_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = built(tmp_path, monkeypatch, source="of a mirror that does not answer now", version="6.10.1")
    calls = apt.pretend(monkeypatch, tmp_path, policy=SOURCES, download="exit 1")
    ran = halfopen("kernel", "build")
    assert ran == Ran(0, f"the guest kernel is there: Linux 6.10.1, {kernel.program}\n", "")
    assert "download" not in calls.read_text()


def test_an_installed_one_is_told_first_and_none_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = built(tmp_path, monkeypatch, source="linux-source-6.9 6.9.7-1")
    program = install(kernel, tmp_path, monkeypatch)
    what = f"Linux 6.9.7 of halfopen-kernel 6.9.7.{cache.RECIPE}"
    assert halfopen("kernel", "build") == Ran(0, f"the guest kernel is there: {what}, {program}\n", "")
    assert halfopen("kernel", "info", "--require", "installed") == Ran(
        0,
        f"installed: {what}, of linux-source-6.9 6.9.7-1; virtual and real clock\n"
        f"  {program}\n"
        "built: Linux 6.9.7, of linux-source-6.9 6.9.7-1; virtual and real clock\n"
        f"  {kernel.program}\n",
        "",
    )


def test_an_installed_one_that_is_too_old_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = built(tmp_path, monkeypatch, source="linux-source-6.9 6.9.7-1")
    program = install(kernel, tmp_path, monkeypatch)
    description = program.with_name("build.json")
    description.write_text(description.read_text().replace(f'"recipe": {cache.RECIPE}', '"recipe": 0'))
    kernel.program.with_name("build.json").unlink()
    remedy = (
        "halfopen-kernel 6.9.7.0 is too old for this halfopen; "
        "upgrade it with: pip install --upgrade 'halfopen[kernel]'"
    )
    info = halfopen("kernel", "info")
    assert info.code == 1
    assert info.out.startswith(f"installed: {remedy}\nbuilt: none; ")
    assert halfopen("warp", "--", "true") == Ran(2, "", f"halfopen: {remedy}\n")


def test_without_a_built_one_there_is_nothing_to_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert halfopen("kernel", "wheel") == Ran(
        2, "", "halfopen: there is no built guest kernel to pack; build it once with: halfopen kernel build\n"
    )


def test_without_one_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(stand_in_tools(tmp_path, monkeypatch)))
    assert halfopen("kernel", "info") == Ran(
        1,
        "built: none; build one, for either clock, with: halfopen kernel build\n",
        "",
    )


def test_without_what_builds_one_it_says_how_to_get_that_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tools = stand_in_tools(tmp_path, monkeypatch)
    (tools / "flex").unlink()
    (tools / "xz").unlink()
    monkeypatch.setenv("PATH", str(tools))
    told = halfopen("kernel", "info").out.splitlines()[0]
    assert told.endswith("halfopen kernel build (needs flex, xz: sudo apt-get install flex xz-utils libc6-dev)")


def test_one_that_could_not_be_seeded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, monkeypatch, source="a tarball", seeded=False)
    told = halfopen("kernel", "info").out.splitlines()[0]
    assert told == (
        "built: Linux 6.9.7, of a tarball; virtual and real clock; not seeded: runs with the same seed may differ"
    )


def test_what_is_required_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, monkeypatch, source="a tarball")
    assert halfopen("kernel", "info").code == 0
    assert halfopen("kernel", "info", "--require", "built").code == 0
    assert halfopen("kernel", "info", "--require", "installed").code == 1


@pytest.mark.parametrize("clock", ["virtual", "real"])
def test_a_warp_without_one_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = halfopen("warp", "--clock", clock, "--", "true")
    assert ran == Ran(2, "", "halfopen: there is no guest kernel yet; build it once with: halfopen kernel build\n")


@pytest.mark.parametrize("number", ["INT", "KILL"])
def test_a_build_that_is_interrupted_leaves_nothing_that_the_next_one_minds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{path}:{stand_in_tools(tmp_path, monkeypatch)}")
    interrupting = f"[ -e {tmp_path}/again ] || {{ touch {tmp_path}/again half.deb; kill -{number} $PPID; exit 1; }}"
    download = f'case "$*" in *download*) {interrupting} ;; esac; exit 1'
    apt.pretend(monkeypatch, tmp_path, policy=SOURCES, download=download)
    assert halfopen("kernel", "build").code == {"INT": 130, "KILL": -9}[number]
    assert halfopen("kernel", "info").code == 1
    again = halfopen("kernel", "build")
    assert (again.code, "downloading linux-source-6.9 6.9.7-1 failed" in again.err) == (2, True)
    assert [path.name for path in (tmp_path / "cache" / "halfopen" / "kernels").rglob("*")] == ["under-construction"]


def test_a_source_that_is_none_is_refused(tmp_path: Path) -> None:
    ran = halfopen("kernel", "build", "--source", str(tmp_path / "no.tar.xz"))
    assert ran.code == 2
    assert ": no such file or directory; name a kernel source tarball" in ran.err


def test_a_source_that_does_not_unpack_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C")
    # Search the real PATH first: tar must be a real one.
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{path}:{stand_in_tools(tmp_path, monkeypatch)}")
    bad = tmp_path / "README.md"
    bad.write_text("no tarball")
    ran = halfopen("kernel", "build", "--source", str(bad))
    assert ran.code == 2
    # Reports the reason, not tar's last words about its exit code.
    assert "unpacking the source failed with exit code 2: tar: This does not look like a tar archive\n" in ran.err
    assert list((tmp_path / "halfopen" / "kernels" / "under-construction").iterdir()) == []


def test_missing_tools_are_named_with_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    bad = tmp_path / "x.tar.xz"
    bad.write_text("x")
    ran = halfopen("kernel", "build", "--source", str(bad))
    assert ran.code == 2
    assert "sudo apt-get install gcc make flex bison bc xz-utils" in ran.err


def test_the_key_for_a_cache_is_that_of_the_kernel_that_would_be_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "newest_package", lambda _: Package("linux-source-6.12", "6.12.1"))
    assert app.call(["kernel", "key"]) == 0
    assert capsys.readouterr().out == f"{cache.key('linux-source-6.12 6.12.1')}\n"


def test_the_time_left_goes_by_the_time_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """The download comes first, and says nothing about the duration of the rest."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    said = io.StringIO()
    with kernel._progress(Console(file=said)) as tell:
        for now[0], share in [(500.0, 0.0), (560.0, 0.1), (561.0, 0.11), (680.0, 0.2), (740.0, 0.5), (1220.0, 1.0)]:
            tell(share)
    assert said.getvalue().splitlines() == [
        "10%, about 9 min left",
        "20%, about 12 min left",
        "50%, about 4 min left",
        "100%",
    ]
