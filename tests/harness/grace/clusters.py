"""Dask clusters of several worker processes on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: Runs a scheduler with workers, prints its address, and ends with its standard input.
_CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address.removeprefix("tcp://"), flush=True)
        for line in sys.stdin:
            if line == "kill a worker\\n":
                next(iter(cluster.workers.values())).process.process._process.kill()
"""


@contextlib.contextmanager
def cluster(folder: Path, workers: int, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a cluster in its own process, as a user would by hand. Yield the executor's name and the process."""
    script = folder / "cluster.py"
    script.write_text(_CLUSTER)
    with subprocess.Popen(
        [sys.executable, script, str(workers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=os.environ | environment,
    ) as running:
        assert running.stdout is not None
        yield f"dask://{running.stdout.readline().strip()}", running
