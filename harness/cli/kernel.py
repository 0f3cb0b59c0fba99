"""``halfopen kernel``: guest kernels, built once and kept in the user's cache."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from halfopen.cli.console import console as make_console
from halfopen.cli.values import option
from halfopen.displays import displayed
from halfopen.errors import InputError
from halfopen.netns import interrupts
from halfopen.netns.guest import building, cache, sources
from halfopen.netns.guest import wheel as wheels
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.units import show_duration

kernel = typer.Typer(name="kernel", help="Build a guest kernel, or list those on this machine.", no_args_is_help=True)

#: Share of the whole between two lines of progress off a terminal.
_REPORT_EVERY = 0.1


@kernel.command()
def build(
    source: Annotated[
        Path | None,
        option(None, "FILE", "A kernel source tarball, 6.1 or newer (default: downloaded by apt)."),
    ] = None,
) -> int:
    """Build the guest kernel of the virtual clock, if there is none."""
    console = make_console()
    if source is None and (there := cache.installed()) is not None:
        console.print(f"the guest kernel is there: {_wheel(there)}, {there.program}", soft_wrap=True)
        return 0
    name, fetch, newer = _source(source)
    if (found := cache.find(name) or newer) is not None:
        console.print(f"the guest kernel is there: Linux {found.version}, {found.program}", soft_wrap=True)
        return 0
    console.print(f"building a guest kernel of {name}; this takes some minutes", soft_wrap=True)
    begun = time.monotonic()
    with _progress(console) as report:
        made = building.build(fetch, report)
    took = show_duration(round(time.monotonic() - begun))
    console.print(f"built Linux {made.version} in {took}: {made.program}", soft_wrap=True)
    return 0


@kernel.command()
def wheel(
    out: Annotated[Path, option(None, "DIR", "The folder for the wheel.")] = Path(),
) -> int:
    """Pack the built guest kernel as a wheel.

    The wheel is for machines without a compiler.
    """
    if (found := cache.built()) is None:
        raise InputError("there is no built guest kernel to pack; build it once with: halfopen kernel build")
    make_console().print(f"wrote {wheels.write(found, out)}", soft_wrap=True)
    return 0


@kernel.command()
def key() -> int:
    """Print the guest kernel's cache key, for a cache in CI.

    It is the key of the kernel that would be built here now.
    """
    typer.echo(cache.key(_newest_package().name))
    return 0


class Origin(StrEnum):
    """Origin of a guest kernel."""

    INSTALLED = "installed"
    BUILT = "built"


@kernel.command()
def info(
    require: Annotated[
        Origin | None, option(None, None, "Exit with 1 unless this kernel is available (default: any).")
    ] = None,
) -> int:
    """List the guest kernels on this machine."""
    console = make_console()
    kernels = {Origin.INSTALLED: cache.installed(), Origin.BUILT: cache.built()}
    remedies = {Origin.INSTALLED: cache.too_old(), Origin.BUILT: _how_to_build()}
    for origin, found in kernels.items():
        text = remedies[origin] if found is None else _described(found)
        if text:
            console.print(f"{origin}: {text}", markup=False, soft_wrap=True)
    return 0 if (kernels[require] if require else any(kernels.values())) else 1


def _described(found: GuestKernel) -> str:
    but = "" if found.seeded else "; not seeded: runs with the same seed may differ"
    what = _wheel(found) if found == cache.installed() else f"Linux {found.version}"
    return f"{what}, of {found.source}; virtual and real clock{but}\n  {found.program}"


def _wheel(found: GuestKernel) -> str:
    return f"Linux {found.version} of {wheels.DISTRIBUTION} {cache.wheel_version(found)}"


def _how_to_build() -> str:
    missing = building.missing_tools()
    needs = f" (needs {', '.join(missing)}: {building.how_to_install(missing)})" if missing else ""
    return f"none; build one, for either clock, with: halfopen kernel build{needs}"


def _newest_package() -> sources.Package:
    with tempfile.TemporaryDirectory() as place:
        return sources.newest_package(Path(place))


def _source(path: Path | None) -> tuple[str, building.Fetch, GuestKernel | None]:
    """Return the source's name, the function that fetches it, and a built kernel as new as apt's, if any."""
    if path is not None:
        source = sources.file_source(path)
        return source.name, lambda _: source, None
    package = _newest_package()
    built = cache.built()
    newer = built if built and cache.numbers(built.version) >= package.numbers else None
    return package.name, sources.package_source, newer


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"


@contextmanager
def _progress(console: Console) -> Iterator[building.Progress]:
    if not console.is_terminal:
        yield _in_lines(console)
        return
    columns = (TextColumn("building"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    with interrupts.interrupting(), displayed(bar.live), bar:
        task = bar.add_task("building", total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _in_lines(console: Console) -> building.Progress:
    """Return a function that prints the finished share and the estimated time left, off a terminal."""
    begun, next_share = time.monotonic(), _REPORT_EVERY

    def report(share: float) -> None:
        nonlocal begun, next_share
        if share == 0:  # The download before it says nothing of this machine's speed.
            begun = time.monotonic()
        if share >= next_share:
            next_share = share + _REPORT_EVERY
            left = (time.monotonic() - begun) * (1 - share) / share
            console.print(f"{share:.0%}, about {_minutes(left)} left" if share < 1 else "100%")

    return report
