"""Errors caused by callers of this package, or by their machine."""


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


class TeardownError(LabError):
    """Processes of a lab do not end although they were killed."""
