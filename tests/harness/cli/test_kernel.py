from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from harness.cli import app
from netns.guest import building, cache
from netns.guest.cache import GuestKernel
from tests.harness.cli.tool import Ran, halfopen
from tests.machine import NOT_FOR_THIS_PROCESSOR, needs_stock_guest
from tests.netns.guest import apt

#: An apt-cache that has one kernel source.
SOURCES = """case $1 in
search) echo "linux-source-6.9 - Linux kernel source for version 6.9" ;;
policy) printf 'linux-source-6.9:\\n  Candidate: 6.9.7-1\\n' ;;
esac"""


def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, source: str, seeded: bool = True) -> GuestKernel:
    """A cache of our own that holds a kernel which is only a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "product" / "linux"
    program.parent.mkdir()
    program.touch()
    return cache.keep(program, source=source, version="6.9.7", seeded=seeded)


def stand_in_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs that do nothing, called as all those that a build needs."""
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
    assert "apt-get" not in calls.read_text()
    assert halfopen("kernel", "info").out.startswith("built: Linux 6.9.7, of linux-source-6.9 6.9.7-1; ")


@needs_stock_guest
def test_both_kernels_are_told_with_their_clocks() -> None:
    ran = halfopen("kernel", "info", "--require", "fetched")
    assert ran.code == 0
    assert re.search(r"\nfetched: Linux [\d.]+, of user-mode-linux \S+; real clock only\n  /.*/linux\n", ran.out)


def test_without_one_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(stand_in_tools(tmp_path, monkeypatch)))
    assert halfopen("kernel", "info") == Ran(
        1,
        "built: none; build one, for either clock, with: halfopen kernel build\n"
        "fetched: none; fetch the distribution's own, for a real clock, with: halfopen kernel fetch\n",
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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    package = apt.package(tmp_path)
    assert halfopen("kernel", "fetch", "--package", str(package)).code == 0
    assert halfopen("kernel", "info").code == 0
    assert halfopen("kernel", "info", "--require", "fetched").code == 0
    assert halfopen("kernel", "info", "--require", "built").code == 1


@pytest.mark.parametrize(
    ("clock", "how"),
    [
        ("virtual", "build it once with: halfopen kernel build"),
        (
            "real",
            "build it once with: halfopen kernel build"
            if NOT_FOR_THIS_PROCESSOR
            else "get one with: halfopen kernel fetch, or: halfopen kernel build",
        ),
    ],
)
def test_a_warp_without_one_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str, how: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = halfopen("warp", "--clock", clock, "--", "true")
    assert ran == Ran(2, "", f"halfopen: there is no guest kernel yet; {how}\n")


def test_a_fetched_one_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = apt.pretend(monkeypatch, tmp_path, policy=apt.POLICY, download=f"cp {apt.package(tmp_path)} .")
    assert halfopen("kernel", "fetch").code == 0
    first = calls.read_text()
    again = halfopen("kernel", "fetch")
    assert again.code == 0
    assert again.out.startswith("the distribution's guest kernel is there: Linux 6.9.7, ")
    assert "apt-get" in first
    assert "apt-get" not in calls.read_text().removeprefix(first)


@pytest.mark.parametrize("number", ["INT", "KILL"])
def test_an_interrupted_fetch_leaves_nothing_that_the_next_one_minds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    package = apt.package(tmp_path)
    interrupting = f"[ -e {tmp_path}/again ] || {{ touch {tmp_path}/again half.deb; kill -{number} $PPID; exit 1; }}"
    apt.pretend(monkeypatch, tmp_path, policy=apt.POLICY, download=f"{interrupting}\ncp {package} .")
    assert halfopen("kernel", "fetch").code == {"INT": 130, "KILL": -9}[number]
    assert halfopen("kernel", "info").code == 1
    assert halfopen("kernel", "fetch").code == 0
    kernels = tmp_path / "cache" / "halfopen" / "kernels"
    assert list((kernels / "under-construction").iterdir()) == []
    assert len(list(kernels.iterdir())) == 2


def test_a_source_that_is_none_is_refused(tmp_path: Path) -> None:
    ran = halfopen("kernel", "build", "--source", str(tmp_path / "no.tar.xz"))
    assert ran.code == 2
    assert "cannot be read: no such file or directory; name a kernel source tarball" in ran.err


def test_a_source_that_does_not_unpack_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C")
    # What there is, first: tar must be a real one.
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{path}:{stand_in_tools(tmp_path, monkeypatch)}")
    bad = tmp_path / "README.md"
    bad.write_text("no tarball")
    ran = halfopen("kernel", "build", "--source", str(bad))
    assert ran.code == 2
    # The reason, and not tar's last words, which are of its exit code.
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
    monkeypatch.setattr(building, "distribution_package", lambda: ("linux-source-6.12", "6.12.1"))
    assert app.call(["kernel", "key"]) == 0
    assert capsys.readouterr().out == f"{cache.key('linux-source-6.12 6.12.1')}\n"
