from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.guest.machine import Consoles, arguments
from halfopen.netns.guest.script import Boot


def booted(version: str = "6.1.176", *, virtual: bool = True) -> list[str]:
    kernel = GuestKernel(Path("/cache/linux"), version, "a source")
    boot = Boot(kernel, ["true"], virtual=virtual, memory=256 << 20)
    return arguments(boot, Path("/place"), Consoles(3, 4, 5, 6))


def test_the_init_is_the_one_in_its_place() -> None:
    assert booted()[0] == "/cache/linux"
    assert booted()[-3:] == ["init=/bin/sh", "--", "/place/init"]
    assert "mem=256M" in booted()


def test_time_travels_on_the_virtual_clock_only() -> None:
    assert "time-travel=inf-cpu" in booted(virtual=True)
    assert not [word for word in booted(virtual=False) if "time-travel" in word]


@pytest.mark.parametrize("version", ["6.16", "6.16.1", "6.17.0-rc2", "7.3.0"])
def test_seccomp_is_tried_by_kernels_that_have_it(version: str) -> None:
    assert "seccomp=auto" in booted(version)


@pytest.mark.parametrize("version", ["6.1.176", "6.9.12", "6.15.9", "5.99"])
def test_older_kernels_are_not_asked_for_seccomp(version: str) -> None:
    assert not [word for word in booted(version) if "seccomp" in word]


def test_the_kernel_mounts_no_dev_of_its_own_over_the_machines() -> None:
    assert "devtmpfs.mount=0" in booted()
