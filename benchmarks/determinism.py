"""Repeat runs of one seed on the virtual clock: ``python -m benchmarks.determinism [--write]``.

Compares each run's timelines and its results.json, without wall times and start time, byte for byte. The runs differ in
all that must not matter: the machine's load, the output's destination, the folder, the environment, the user.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import document
from halfopen.netns.exit_codes import ExitCode
from halfopen.results import record

SECTION = "determinism"

_SEED = 7
_RUN = [sys.executable, "-P", "-m", "halfopen", "run", "--clock", "virtual"]

#: A link with delay, jitter and loss, so with all of netem's randomness.
_FAR = """
title = "Far away"
story = "A phone on a train: far, unsteady, and losing packets."
truth = "alive"
client = "acking"

[link]
delay = "40ms"
jitter = "10ms"
loss = "1%"

[expect]
session = "kept"
hold = "20s"
"""
#: An asyncio server: its event loop orders the tasks. The pod uses threads, which the kernel schedules.
_SERVER = """
import asyncio, os, sys
from websockets.asyncio.server import serve

async def handle(connection):
    async def listen():
        async for message in connection:
            pass
    listening = asyncio.create_task(listen())
    while True:
        await connection.send(os.urandom(16384))
        await asyncio.sleep(0.05)

async def main():
    async with serve(handle, sys.argv[1], int(sys.argv[2]), ping_interval=2, ping_timeout=5) as server:
        await server.serve_forever()

asyncio.run(main())
"""
#: In a sample of the server's processes.
_MEMORY = re.compile(r'"rss":\d+,')
#: Run a command as user 1000, without capabilities or files of its own.
_ANOTHER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make the same run several times."""

    name: str
    count: int
    arguments: Sequence[str] = ()
    under: Sequence[str] = ()
    """Prefix of the command."""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    terminal: bool = False
    loaded: bool = False
    """True if every core is kept busy during the runs."""


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one way."""

    way: Way
    prints: tuple[str, ...]
    """One fingerprint for each run."""
    walls: tuple[float, ...]
    kernel: str


def ways(elsewhere: Path) -> dict[str, list[Way]]:
    """Return all ways by group. All ways of a group must give byte-identical results."""
    far = elsewhere / "far.toml"
    far.write_text(_FAR)
    (elsewhere / "server.py").write_text(_SERVER)
    served = ["pod_5090", "--server", f"{sys.executable} {elsewhere / 'server.py'} {{host}} {{port}}"]
    return {
        f"seed {_SEED}": [
            Way("alone, output to a file", 50),
            Way("all cores busy", 5, loaded=True),
            Way("output to a terminal", 3, terminal=True),
            Way("started in another folder", 3, folder=elsewhere),
            Way("a longer environment", 3, environment={"SOMETHING": "x" * 5000, "PYTHONHASHSEED": "1"}),
            Way("folders that are not there", 3, environment={"PYTHONPATH": "/no/such:/folder/at"}),
            Way("another locale", 3, environment={"LANG": "de_DE.UTF-8"}),
            *([Way("another user", 3, under=_ANOTHER)] if shutil.which("unshare") else ()),
        ],
        "seed 1": [Way("another seed", 3, ["--seed", "1"])],
        "seed 2147483647": [Way("another seed", 3, ["--seed", "2147483647"])],
        "one guest": [Way("--jobs 1", 3, ["--jobs", "1"])],
        "three guests": [Way("--jobs 3", 3, ["--jobs", "3"])],
        "netem": [
            Way("delay 40 ms, jitter 10 ms, loss 1 %", 5, [str(far)]),
            Way("the same, all cores busy", 5, [str(far)], loaded=True),
        ],
        "your own server": [
            Way("websockets, asyncio", 5, served),
            Way("the same, all cores busy", 5, served, loaded=True),
        ],
    }


def measure(way: Way, place: Path) -> Found:
    """Make the runs of one way."""
    prints, walls, kernel = [], [], ""
    with _load() if way.loaded else contextlib.nullcontext():
        for number in range(way.count):
            out = place / f"{number}"
            began = time.monotonic()
            _run(way, out)
            walls.append(time.monotonic() - began)
            prints.append(fingerprint(out))
            kernel = json.loads((out / record.RESULTS).read_text())["kernel"]
    return Found(way, tuple(prints), tuple(walls), kernel)


def _run(way: Way, out: Path) -> None:
    seed = () if "--seed" in way.arguments else ("--seed", str(_SEED))
    command = [*way.under, *_RUN, *seed, *way.arguments, "--out", str(out)]
    if way.terminal:
        command = ["script", "-qec", shlex.join(command), "/dev/null"]
    out.mkdir(mode=0o777, parents=True)
    with (out / "said").open("wb") as said:
        code = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            cwd=way.folder,
            env=os.environ | way.environment,
            check=False,
        ).returncode
    # Either verdict is fine: the user's own server misses the frozen client.
    assert code in (ExitCode.PASSED, ExitCode.FAILED), f"{way.name}: {(out / 'said').read_text()}"


@contextlib.contextmanager
def _load() -> Iterator[None]:
    """Keep every core busy while in the context."""
    cores = os.cpu_count() or 1
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def fingerprint(out: Path) -> str:
    """Hash all files of a run that must be the same when it is repeated."""
    found = hashlib.sha256(json.dumps(alike(json.loads((out / record.RESULTS).read_text()))).encode())
    for path in sorted((out / record.TIMELINES).iterdir()):
        found.update(f"{path.name}\0{without_memory(path.read_text())}".encode())
    return found.hexdigest()


def without_memory(timeline: str) -> str:
    """Return a timeline without the memory of the server's processes, which hold the environment too."""
    return _MEMORY.sub("", timeline)


def alike(table: dict[str, Any]) -> dict[str, Any]:
    """Return a results.json's content without wall times, start time, and the memory of the server's processes."""
    same = {key: value for key, value in table.items() if key not in ("wall_s", "started_at")}
    same["runs"] = [
        {key: value for key, value in run.items() if key not in ("wall_s", "memory_growth_bytes")}
        for run in table["runs"]
    ]
    return same


def table(groups: Mapping[str, Sequence[Found]]) -> str:
    """A row for each way, with the number of results that differ within its group."""
    lines = ["| compared | conditions | runs | different results | median wall time |", "|---|---|---|---|---|"]
    for group, members in groups.items():
        seen: set[str] = set()
        for found in members:
            new = set(found.prints) - seen
            different = len(new) - (0 if seen else 1)
            seen |= new
            lines.append(
                f"| {group} | {found.way.name} | {len(found.prints)} | {different or 'none'} "
                f"| {statistics.median(found.walls):.1f} s |"
            )
    return "\n".join(lines)


def run(place: Path, names: Sequence[str] = ()) -> tuple[str, bool]:
    """Measure all groups, or those named; return the text for the docs, and True if all results are the same."""
    groups: dict[str, list[Found]] = {}
    for number, (group, members) in enumerate(ways(place).items()):
        if not names or group in names:
            for each, way in enumerate(members):
                groups.setdefault(group, []).append(found := measure(way, place / f"{number}-{each}"))
                print(f"{group}, {way.name}: {len(set(found.prints))} answers in {way.count} runs", file=sys.stderr)
    kernel = next(iter(groups.values()))[0].kernel
    same = all(len({each for found in members for each in found.prints}) == 1 for members in groups.values())
    head = (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by `python -m benchmarks.determinism` with "
        f"guest Linux {kernel} on {os.cpu_count()} cores:"
    )
    return f"{head}\n\n{table(groups)}", same


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    names = [name for name in arguments if name != "--write"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if unknown := set(names) - set(ways(Path(folder))):
            print(f"unknown groups {sorted(unknown)}: there are {list(ways(Path(folder)))}", file=sys.stderr)
            return 2
        text, same = run(Path(folder), names)
    print(text)
    if write:
        document.put(SECTION, text)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
