"""``halfopen kernel``: guest kernels, built or fetched once and kept in the user's cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli.console import console as make_console
from harness.displays import displayed
from netns import stopping
from netns.guest import building, cache, fetching
from netns.guest.building import Source
from netns.guest.cache import GuestKernel
from netns.guest.registers import why_not_stock
from netns.units import show_duration

kernel = typer.Typer(name="kernel", help="Build or fetch a guest kernel, or say what is there.", no_args_is_help=True)

#: Off a terminal the progress is told this often, as a share of the whole.
_TELL_EVERY = 0.1


@kernel.command()
def build(
    source: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kernel source tarball, 6.1 or newer (default: apt's).")
    ] = None,
) -> int:
    """Build the guest kernel of the virtual clock; does nothing when it is there."""
    console = make_console()
    name, fetch = _source(source)
    found = cache.find(name)
    if found is not None:
        console.print(f"the guest kernel is there: Linux {found.version}, {found.program}", soft_wrap=True)
        return 0
    console.print(f"building a guest kernel of {name}; about four minutes on two cores", soft_wrap=True)
    begun = time.monotonic()
    with _progress(console) as tell:
        made = building.build(fetch, name, tell)
    took = show_duration(round(time.monotonic() - begun))
    console.print(f"built Linux {made.version} in {took}: {made.program}", soft_wrap=True)
    return 0


@kernel.command()
def fetch(
    package: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The package user-mode-linux as a file (default: apt's).")
    ] = None,
) -> int:
    """Fetch the distribution's own guest kernel, for a real clock; does nothing when it is there."""
    console = make_console()
    name = fetching.source(package)
    found = cache.find(name, time_travel=False)
    if found is not None:
        console.print(
            f"the distribution's guest kernel is there: Linux {found.version}, {found.program}", soft_wrap=True
        )
        return 0
    console.print(f"fetching a guest kernel: {name}", soft_wrap=True)
    made = fetching.fetch(name, package)
    console.print(f"fetched Linux {made.version}: {made.program}", soft_wrap=True)
    if (why := why_not_stock()) is not None:
        console.print(f"but {why}; build one, for either clock, with: halfopen kernel build", soft_wrap=True)
    return 0


@kernel.command()
def key() -> int:
    """Say what the cache calls the guest kernel that would be built here now: for a cache of CI's."""
    typer.echo(cache.key(_source(None)[0]))
    return 0


class Which(StrEnum):
    """Where a guest kernel comes from."""

    BUILT = "built"
    FETCHED = "fetched"


@kernel.command()
def info(
    require: Annotated[Which | None, typer.Option(help="Exit with 1 unless this one is there (default: any).")] = None,
) -> int:
    """Say which guest kernels are there."""
    console = make_console()
    there = {Which.BUILT: cache.newest(), Which.FETCHED: cache.fetched()}
    for which, found in there.items():
        console.print(f"{which}: {_described(found) if found else _how_to_get(which)}", soft_wrap=True)
    return 0 if (there[require] if require else any(there.values())) else 1


def _described(found: GuestKernel) -> str:
    clock = "virtual and real clock" if found.time_travel else "real clock only"
    # A virtual clock promises the same answer each time; on a real one nobody does.
    but = "; not seeded: runs with the same seed may differ" if found.time_travel and not found.seeded else ""
    if not found.time_travel and (why := why_not_stock()) is not None:
        but = f"; {why}"
    return f"Linux {found.version}, of {found.source}; {clock}{but}\n  {found.program}"


def _how_to_get(which: Which) -> str:
    if which is Which.FETCHED:
        return "none; fetch the distribution's own, for a real clock, with: halfopen kernel fetch"
    missing = building.missing_tools()
    needs = f" (needs {', '.join(missing)}: {building.how_to_install(missing)})" if missing else ""
    return f"none; build one, for either clock, with: halfopen kernel build{needs}"


def _source(path: Path | None) -> tuple[str, building.Fetch]:
    if path is None:
        package, version = building.distribution_package()
        return f"{package} {version}", building.package_source
    source = building.file_source(path)

    def given(_: Path) -> Source:
        return source

    return source.name, given


@contextmanager
def _progress(console: Console) -> Iterator[building.Progress]:
    if not console.is_terminal:
        told = [0.0]

        def tell(share: float) -> None:
            if share >= told[0] + _TELL_EVERY:
                told[0] = share
                console.print(f"{share:.0%}")

        yield tell
        return
    columns = (TextColumn("compiling"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    with stopping.interrupting(), displayed(bar.live), bar:
        task = bar.add_task("compiling", total=1.0)
        yield lambda share: bar.update(task, completed=share)
