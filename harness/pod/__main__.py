"""Run the pod: ``python -m harness.pod``."""

from __future__ import annotations

import argparse
import sys

from harness import plugins
from harness.errors import InputError
from harness.pod import detectors
from harness.pod.server import Pod, run
from harness.pod.stream import SLICE_BYTES, SLICE_INTERVAL, Stream
from harness.pod.watchdog import DEFAULT_POLL, GRACE_VARIABLE, grace_from_environment
from netns import units
from netns.errors import UnitError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m harness.pod", description="The reference server of halfopen.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    parser.add_argument("--seats", type=int, default=1, help="clients served at once (default: %(default)s)")
    parser.add_argument(
        "--detector",
        default="bytes-acked",
        help=f"one of {', '.join(plugins.names(detectors))}, or the import path of a module (default: %(default)s)",
    )
    parser.add_argument(
        "--grace",
        type=units.duration,
        help=f'such as "30s" (default: ${GRACE_VARIABLE}, else 30s; not below 5s)',
    )
    parser.add_argument("--poll", type=units.duration, default=DEFAULT_POLL, help="default: 2s")
    parser.add_argument("--slice-size", type=units.size, default=SLICE_BYTES, help="default: 32KiB")
    parser.add_argument("--slice-interval", type=units.duration, default=SLICE_INTERVAL, help="default: 50ms")
    return parser


def main() -> int:
    """Parse the arguments and serve."""
    parser = _parser()
    try:
        options = parser.parse_args()
    except UnitError as error:  # pragma: no cover - argparse turns it into a usage error
        parser.error(str(error))
    try:
        module = plugins.load(detectors, options.detector, "detector")
    except InputError as error:
        parser.error(str(error))
    grace = grace_from_environment() if options.grace is None else options.grace
    stream = Stream(options.slice_size, options.slice_interval)
    pod = Pod(module.create(grace, options.poll), stream=stream, seats=options.seats)
    try:
        run(pod, options.host, options.port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"cannot listen on {where}: {error.strerror or error}; choose another --port", file=sys.stderr)
        return 2
    return 0


sys.exit(main())
