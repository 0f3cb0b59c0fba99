"""What callers of this package can get wrong, or find missing on their machine."""


class LabError(Exception):
    """The network that was asked for cannot be had; the message says why and what to do."""


class UnitError(ValueError):
    """A quantity was written without a unit, or with one that does not fit."""


class IsolationError(LabError):
    """Namespaces of our own cannot be entered on this machine."""


class UnsupportedError(LabError):
    """This kernel lacks what an impairment needs."""


class GuestError(LabError):
    """The guest kernel cannot be built, found or booted."""


class GuestLostError(LabError):
    """A guest that was running ended, or had to be ended, before its command did."""
