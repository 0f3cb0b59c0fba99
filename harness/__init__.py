"""Put a server in front of clients that die, freeze, stall or merely pause, and report what it made of each."""

#: Home of the project, that of pyproject.toml.
REPOSITORY = "https://github.com/halfopen/halfopen"
__version__: str


def __getattr__(name: str) -> str:
    """Look up the version on first use: hundreds of pods and clients start, and they never need it."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 (half of what a pod would import)

    try:
        return version("halfopen")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
