"""``halfopen kernel``: the guest kernel of the virtual clock, built once and kept in the user's cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from netns.guest import building, cache
from netns.guest.building import Source
from netns.units import show_duration

kernel = typer.Typer(
    name="kernel", help="Build the guest kernel of the virtual clock, or say what is there.", no_args_is_help=True
)

#: Off a terminal the progress is told this often, as a share of the whole.
_TELL_EVERY = 0.1


@kernel.command()
def build(
    source: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kernel source tarball, 6.1 or newer (default: apt's).")
    ] = None,
) -> int:
    """Build the guest kernel; does nothing when it is there."""
    console = Console(highlight=False)
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
def info() -> int:
    """Say which guest kernel is there."""
    console = Console(highlight=False)
    found = cache.newest()
    if found is None:
        console.print(f"no guest kernel in {cache.folder()}; build one with: halfopen kernel build", soft_wrap=True)
        missing = building.missing_tools()
        if missing:
            console.print(f"that needs {', '.join(missing)}: sudo apt-get install {' '.join(missing.values())}")
        return 1
    console.print(f"Linux {found.version}, of {found.source}\n{found.program}", soft_wrap=True)
    return 0


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
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("compiling", total=1.0)
        yield lambda share: bar.update(task, completed=share)
