from __future__ import annotations

import re
from pathlib import Path

import pytest

from halfopen.netns.guest import building, recipe
from halfopen.netns.lab_errors import GuestError

#: As allnoconfig writes it if all our options can be met.
CONFIG = recipe.FRAGMENT.read_text() + "# CONFIG_SMP is not set\n"


def test_all_that_a_guest_needs_is_asked_for() -> None:
    building.require_options(CONFIG, "6.12.1")


@pytest.mark.parametrize("instead", ["", "# CONFIG_NF_TABLES_IPV4 is not set\n", "CONFIG_NF_TABLES_IPV4=m\n"])
def test_an_option_that_was_dropped_is_named_with_the_version(instead: str) -> None:
    without = CONFIG.replace("CONFIG_NF_TABLES_IPV4=y\n", instead).replace("CONFIG_VETH=y\n", "")
    why = "Linux 6.12.1 could not be configured with VETH, NF_TABLES_IPV4; the guest kernel needs Linux 6.1 or newer"
    with pytest.raises(GuestError, match=f"^{re.escape(why)}$"):
        building.require_options(without, "6.12.1")


@pytest.mark.parametrize("version", ["6.1.0", "6.1.192", "6.12.117", "7.0.0-rc1"])
def test_these_versions_will_do(version: str) -> None:
    building.require_version(version)


@pytest.mark.parametrize("version", ["5.19.17", "6.0.19", "4.4.302"])
def test_these_are_too_old(version: str) -> None:
    with pytest.raises(GuestError, match=f"^the source is Linux {re.escape(version)}; .* needs Linux 6.1 or newer$"):
        building.require_version(version)


def test_a_tarball_of_something_else_is_told_from_an_old_one() -> None:
    with pytest.raises(GuestError, match="is no Linux source"):
        building.require_version("")


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("linux-source-6.8.0.tar.bz2", "needs bzip2; install with: sudo apt-get install bzip2 libc6-dev"),
        ("linux.tar.zst", "needs zstd; install with: sudo apt-get install zstd libc6-dev"),
    ],
)
def test_what_unpacks_the_tarball_is_needed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needs: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for tool in building.missing_tools():
        (tmp_path / tool).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    building.require_tools()
    building.require_tools(Path("linux.tar.xz"))
    with pytest.raises(GuestError, match=f" {re.escape(needs)}$"):
        building.require_tools(Path(name))
