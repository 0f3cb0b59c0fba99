"""The C library's calls: a refusal is an OSError that says which call it was."""

from __future__ import annotations

import errno

import pytest

from halfopen.netns import _libc
from tests.isolated import isolated
from tests.machine import needs_labs


@needs_labs
def test_a_refused_setns_names_the_call() -> None:
    with pytest.raises(OSError, match="setns") as refused:
        _libc.setns(-1, _libc.CLONE_NEWNET)
    assert refused.value.errno == errno.EBADF


@needs_labs
def test_a_refused_unshare_names_the_call() -> None:
    with pytest.raises(OSError, match="unshare") as refused:
        _libc.unshare(0x1)  # no namespace has this bit (sched.h)
    assert refused.value.errno == errno.EINVAL


@needs_labs
@isolated
def test_a_refused_mount_names_the_target() -> None:
    with pytest.raises(OSError, match="mount /nowhere/at/all") as refused:
        _libc.mount("none", "/nowhere/at/all", "proc", 0)
    assert refused.value.errno == errno.ENOENT
