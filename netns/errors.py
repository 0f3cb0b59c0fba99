"""Errors that callers of this package can make, or that their machine causes."""


class LabError(Exception):
    """The requested network cannot be set up; the message gives the reason and the remedy."""


class UnitError(ValueError):
    """A quantity was written without a unit, or with one that does not fit."""


class IsolationError(LabError):
    """Namespaces of our own cannot be entered on this machine."""


class UnsupportedError(LabError):
    """The kernel lacks a feature that an impairment needs."""


class GuestError(LabError):
    """The guest kernel cannot be built, found or booted."""


class GuestLostError(LabError):
    """A running guest ended, or had to be ended, before its command did."""
