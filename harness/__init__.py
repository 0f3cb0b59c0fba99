"""Puts a server in front of clients that die, freeze, stall or merely pause, and says what it made of each."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("halfopen")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
