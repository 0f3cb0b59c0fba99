"""Run the pod: ``python -m halfopen.pod``."""

from __future__ import annotations

import argparse
import ctypes
import io
import math
import os
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, get_args

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.liveness.death import Reap
from halfopen.liveness.rule import DEFAULT_MIN_RATE
from halfopen.model.pod_api import PodApi
from halfopen.netns import units
from halfopen.netns.lab_errors import UnitError
from halfopen.pod import detectors
from halfopen.pod.detector_hold import Hold
from halfopen.pod.detectors._seam import Settings
from halfopen.pod.log import log
from halfopen.pod.server import Pod
from halfopen.pod.stream import SLICE_BYTES, SLICE_INTERVAL, Stream
from halfopen.pod.watchdog import DEFAULT_POLL, GRACE_VARIABLE, grace_from_environment

if TYPE_CHECKING:
    from halfopen.pod.async_server import AsyncPod

#: Seconds between a thread's requests for the lock, while it is held for long.
_PATIENT = 1.0


def _quantity(parse: Callable[[object], float]) -> Callable[[str], float]:
    """Return the parser of a quantity with its own error message instead of argparse's."""

    def parsed(text: str) -> float:
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
        "--pod-api",
        choices=get_args(PodApi),
        default="sync",
        help="of websockets: threads or tasks (default: %(default)s)",
    )
    parser.add_argument(
        "--reap", choices=get_args(Reap), help="how to end a dead client's connection (default: as the detector does)"
    )
    quantities: list[tuple[str, Callable[[object], float], float | None, str]] = [
        ("--grace", units.duration, None, f'such as "30s" (default: ${GRACE_VARIABLE}, else 30s; not below 5s)'),
        ("--poll", units.duration, DEFAULT_POLL, "default: 2s"),
        ("--min-rate", units.byte_rate, DEFAULT_MIN_RATE, "the lowest rate of a live client (default: 64KiB/s)"),
        ("--outage", units.duration, None, "the longest outage that is always survived (default: the detector's)"),
        ("--common-outage", units.duration, None, "the same if most sessions go dark at once (default: two outages)"),
        ("--slice-size", units.size, SLICE_BYTES, "default: 32KiB"),
        ("--slice-interval", units.duration, SLICE_INTERVAL, "default: 50ms"),
        ("--quiet-after", units.duration, math.inf, "send nothing from then on"),
        ("--quiet-for", units.duration, math.inf, "for so long (default: to the end)"),
        ("--session-limit", units.duration, math.inf, "close each session after so long"),
        ("--ping-interval", units.duration, None, "of the library's keepalive (default: 20s)"),
    ]
    for option, parse, default, text in quantities:
        parser.add_argument(option, type=_quantity(parse), default=default, help=text)
    parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS, with this certificate and those above it (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--hold-watchdog", action="store_true", help="hold its verdicts back until it is released (needs --control)"
    )
    parser.add_argument("--control", action="store_true", help="carry out the orders on stdin, one word a line")
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


def _obey_standard_input(hold: Hold) -> None:
    """Carry out the orders on standard input, one word a line, in a daemon thread, until it ends.

    Faults of the server itself are carried out by it.
    """
    orders: dict[str, Callable[[int], None]] = {
        "hold-gil": _hold_gil,
        "hold-watchdog": lambda _: hold.hold(),
        "release-watchdog": lambda _: hold.release(),
    }
    words = io.FileIO(sys.stdin.fileno(), closefd=False)
    threading.Thread(target=_obey, args=(words, orders), name="control", daemon=True).start()


def _obey(words: io.FileIO, orders: Mapping[str, Callable[[int], None]]) -> None:
    # Unbuffered: the action itself may read the bytes after its word.
    while line := words.readline():
        word = line.decode(errors="replace").strip()
        if order := orders.get(word):
            order(words.fileno())
        elif word:
            log("unknown_order", word=word)


def _hold_gil(descriptor: int) -> None:
    """Hold the interpreter's lock until the next byte arrives, as a native call that never releases it does.

    A function of PyDLL is called with the lock held (the manual of ctypes, "Loading shared libraries"). No other thread
    runs Python meanwhile. The end of the input ends it too.
    """
    log("gil_held")
    interval = sys.getswitchinterval()
    # Threads waiting for the lock request it again in this interval. A longer one only saves their CPU time.
    sys.setswitchinterval(_PATIENT)
    ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), ctypes.c_size_t(1))
    sys.setswitchinterval(interval)
    log("gil_released")


def _pod_of(api: PodApi) -> type[Pod | AsyncPod]:
    """Return the pod of an API. That of asyncio is only imported if it is used: most pods have threads."""
    if api == "sync":
        return Pod
    from halfopen.pod.async_server import AsyncPod  # noqa: PLC0415 (see above)

    return AsyncPod


def main() -> int:
    """Parse the arguments and serve."""
    parser = _parser()
    options = parser.parse_args()
    try:
        module = plugins.load(detectors, options.detector)
        detectors.require_api(module, options.detector, options.pod_api)
        grace = grace_from_environment() if options.grace is None else options.grace
        hold = Hold()
        settings = Settings(
            grace,
            options.poll,
            options.reap,
            options.min_rate,
            options.outage,
            hold,
            options.pod_api,
            options.common_outage,
        )
        detector = module.create(settings)
    except InputError as error:
        parser.error(str(error))
    stream = Stream(options.slice_size, options.slice_interval, options.quiet_after, options.quiet_for)
    pod = _pod_of(options.pod_api)(detector, stream, options.seats, options.session_limit, options.ping_interval)
    context = _context(parser, options.tls_cert, options.tls_key)
    if options.control:
        _obey_standard_input(hold)
    if options.hold_watchdog:
        hold.hold()
    try:
        pod.run(options.host, options.port, context)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        print(f"cannot listen on {options.host}:{options.port}: {reason}; choose another --port", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
