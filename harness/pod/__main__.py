"""Run the pod: ``python -m halfopen.pod``."""

from __future__ import annotations

import argparse
import math
import os
import ssl
import sys
from collections.abc import Callable
from typing import TypeVar, get_args

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError
from halfopen.pod import control, detectors
from halfopen.pod.detector_hold import Hold
from halfopen.pod.detectors._seam import Settings
from halfopen.pod.liveness.rule import DEFAULT_MIN_RATE
from halfopen.pod.server import Pod, run
from halfopen.pod.stream import SLICE_BYTES, SLICE_INTERVAL, Stream
from halfopen.pod.watchdog import DEFAULT_POLL, GRACE_VARIABLE, Reap, grace_from_environment

_T = TypeVar("_T")


def _quantity(parse: Callable[[object], _T]) -> Callable[[str], _T]:
    """Return the parser of a quantity with its own error message instead of argparse's."""

    def parsed(text: str) -> _T:
        try:
            return parse(text)
        except UnitError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m halfopen.pod", description="The reference server of halfopen.")
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
        type=_quantity(units.duration),
        help=f'such as "30s" (default: ${GRACE_VARIABLE}, else 30s; not below 5s)',
    )
    parser.add_argument("--poll", type=_quantity(units.duration), default=DEFAULT_POLL, help="default: 2s")
    parser.add_argument(
        "--reap", choices=get_args(Reap), help="how to end a dead client's connection (default: as the detector does)"
    )
    parser.add_argument(
        "--min-rate",
        type=_quantity(units.byte_rate),
        default=DEFAULT_MIN_RATE,
        help="what a live client reads at least (default: 64KiB/s)",
    )
    parser.add_argument(
        "--outage",
        type=_quantity(units.duration),
        help="the longest outage that is always survived (default: as the detector has it)",
    )
    parser.add_argument("--slice-size", type=_quantity(units.size), default=SLICE_BYTES, help="default: 32KiB")
    parser.add_argument(
        "--slice-interval", type=_quantity(units.duration), default=SLICE_INTERVAL, help="default: 50ms"
    )
    parser.add_argument(
        "--quiet-after", type=_quantity(units.duration), default=math.inf, help="say nothing from then on"
    )
    parser.add_argument(
        "--quiet-for", type=_quantity(units.duration), default=math.inf, help="for so long (default: to the end)"
    )
    parser.add_argument(
        "--session-limit", type=_quantity(units.duration), default=math.inf, help="close each session after so long"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS, with this certificate and those above it (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--ping-interval", type=_quantity(units.duration), help="of the library's keepalive (default: 20s)"
    )
    parser.add_argument(
        "--hold-watchdog", action="store_true", help="have it reap nobody until it is told to (needs --control)"
    )
    parser.add_argument("--control", action="store_true", help="obey the words that come on stdin, one a line")
    return parser


def _context(parser: argparse.ArgumentParser, certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        parser.error("--tls-cert and --tls-key go together; give both, or neither")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        parser.error(f"no certificate and key in {certificate!r} and {key!r}: {(error.strerror or str(error)).lower()}")
    return context


def main() -> int:
    """Parse the arguments and serve."""
    parser = _parser()
    options = parser.parse_args()
    try:
        module = plugins.load(detectors, options.detector)
        grace = grace_from_environment() if options.grace is None else options.grace
        hold = Hold()
        detector = module.create(Settings(grace, options.poll, options.reap, options.min_rate, options.outage, hold))
    except InputError as error:
        parser.error(str(error))
    stream = Stream(options.slice_size, options.slice_interval, options.quiet_after, options.quiet_for)
    pod = Pod(
        detector,
        stream=stream,
        seats=options.seats,
        session_limit=options.session_limit,
        ping_interval=options.ping_interval,
    )
    context = _context(parser, options.tls_cert, options.tls_key)
    if options.control:
        control.start(hold)
    if options.hold_watchdog:
        hold.hold()
    try:
        run(pod, options.host, options.port, context)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(
            f"cannot listen on {where}: {os.strerror(error.errno or 0).lower()}; choose another --port", file=sys.stderr
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
