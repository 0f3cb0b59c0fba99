"""Turns an impairment into queueing disciplines on one interface."""

from __future__ import annotations

import errno

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netns.errors import UnsupportedError
from netns.impairment import NONE, Impairment, netem_options, tbf_options

_NETEM_HANDLE = 0x10000
_TBF_HANDLE = 0x20000
_ROOT = 0xFFFFFFFF


def shape(routes: IPRoute, index: int, impairment: Impairment, before: Impairment = NONE) -> None:
    """Replace the root qdisc of interface ``index`` by what ``impairment`` needs.

    netem delays and loses; a token bucket behind it holds the rate. Raises UnsupportedError where the
    kernel lacks a discipline, and then leaves the interface unimpaired.
    """
    if before != NONE:
        _clear(routes, index)
    parent = _ROOT
    try:
        if impairment.needs_netem:
            _add(routes, "netem", index, _NETEM_HANDLE, parent, **netem_options(impairment))
            parent = _NETEM_HANDLE | 1
        if impairment.rate:
            _add(routes, "tbf", index, _TBF_HANDLE, parent, **tbf_options(impairment.rate))
    except BaseException:
        if parent != _ROOT:
            _clear(routes, index)
        raise


def _clear(routes: IPRoute, index: int) -> None:
    routes.tc("del", index=index, parent=_ROOT)


def _add(routes: IPRoute, kind: str, index: int, handle: int, parent: int, **options: float) -> None:
    try:
        routes.tc("add", kind, index, handle, parent=parent, **options)
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            raise UnsupportedError(f"this kernel has no sch_{kind}") from None
        raise


def has_discipline(routes: IPRoute, index: int, kind: str) -> bool:
    """Whether the kernel offers a queueing discipline, found out by asking for one on ``index``."""
    options = {"netem": {"delay": 1000}, "tbf": {"rate": 125_000, "burst": 1514, "limit": 3028}}[kind]
    try:
        _add(routes, kind, index, _NETEM_HANDLE, _ROOT, **options)
    except UnsupportedError:
        return False
    _clear(routes, index)
    return True
