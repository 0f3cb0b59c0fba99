"""Options that commands share, in groups. Each group makes its part of a request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from halfopen.cli import values
from halfopen.cli.placement import Clock, Kernel
from halfopen.cli.values import MOST_SEED, PodApiName, ReapBy, duration, option
from halfopen.netns import units
from halfopen.netns.units import ByteRate, Duration
from halfopen.run.request import DEFAULT_DETECTOR, RunRequest
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.pod import DetectorOptions

#: The panels of options in ``--help``.
SERVER, POD, SCENARIOS, CLOCK, OUTPUT, CI = (
    "Your server",
    "The built-in server (the pod)",
    "Scenarios",
    "Clock and kernel",
    "Output",
    "CI",
)


def scenario_names(default: str) -> Any:
    """Return the argument for the names of scenarios; ``default`` is for the help."""
    words = f"A scenario, a suite, a .toml file or a folder (default: {default})."
    return typer.Argument(metavar="[NAME]...", help=words)


Out = Annotated[Path, option(OUTPUT, "DIR", "The folder for results and the report.")]
Seed = Annotated[
    int | None,
    option(
        SCENARIOS,
        "N",
        "The seed of all random numbers, to repeat a run (default: random; it is printed).",
        min=0,
        max=MOST_SEED,
    ),
]
KernelOption = Annotated[
    Kernel,
    option(CLOCK, None, "The kernel that runs the lab: this machine's, or a guest's.", envvar="HALFOPEN_KERNEL"),
]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The server under test. Options override the file of ``--target``."""

    server: Annotated[
        str | None, option(SERVER, "CMD", "The command that starts your server. {host} and {port} are filled in.")
    ] = None
    image: Annotated[
        str | None, option(SERVER, "IMAGE", "Test a container of this image instead. Docker must have pulled it.")
    ] = None
    command: Annotated[
        str | None, option(SERVER, "CMD", "The command to run in the image, instead of the image's own.")
    ] = None
    env: Annotated[
        list[str] | None, option(SERVER, "NAME=VALUE", "An environment variable for your server. Repeatable.")
    ] = None
    port: Annotated[
        int | None, option(SERVER, "PORT", "The port your server listens on, if its command takes no {port}.")
    ] = None
    target: Annotated[
        Path | None,
        option(SERVER, "FILE", "A TOML file that describes your server (docs/targets.md). Options override it."),
    ] = None
    path: Annotated[str | None, option(SERVER, None, "The WebSocket path that clients request (default: /).")] = None
    subprotocol: Annotated[
        list[str] | None, option(SERVER, "NAME", "A subprotocol that clients offer. Repeatable.")
    ] = None
    header: Annotated[
        list[str] | None, option(SERVER, "'NAME: VALUE'", "A header that clients add to their handshake. Repeatable.")
    ] = None
    send: Annotated[
        list[str] | None,
        option(
            SERVER, "TEXT", "A message that each client sends first, such as a token or a subscription. Repeatable."
        ),
    ] = None
    sessions: Annotated[
        str | None,
        option(
            SERVER, "PATH", "The HTTP path of your server's own session list, a JSON array. Runs then check it too."
        ),
    ] = None
    sessions_pointer: Annotated[
        str | None, option(SERVER, "POINTER", "The place of the list in the answer, as a JSON Pointer: /data/sessions.")
    ] = None
    sessions_field: Annotated[
        str | None, option(SERVER, "FIELD", "The field of a session that holds its client's address.")
    ] = None
    tls: Annotated[
        bool | None,
        option(
            SERVER, None, "Connect by wss://. Your command gets {cert} and {key}, files made for this run.", "--tls"
        ),
    ] = None
    edge: Annotated[str | None, option(SERVER, "NAME", "Put a proxy in front of your server: nginx or haproxy.")] = None
    guard: Annotated[
        bool | None, option(SERVER, None, "Start your server by halfopen guard, with this grace and poll.", "--guard")
    ] = None

    def spec(self) -> TargetSpec:
        """Return the server that the options describe; raises InputError."""
        spec = TargetSpec() if self.target is None else target_spec.load(self.target)
        said = {name: value for name in _STRICT if (value := getattr(self, name)) is not None}
        more = {name: getattr(self, name) for name in _LENIENT} | {
            "subprotocols": tuple(self.subprotocol or ()),
            "send": tuple(self.send or ()),
            "headers": self.header and spec.headers | dict(map(target_spec.header, self.header)),
            "environment": self.env and spec.environment | dict(map(target_spec.variable, self.env)),
        }
        said |= {name: value for name, value in more.items() if value}
        # A server named on the command line wins over the one in the file.
        if self.server is not None or self.image is not None:
            spec = msgspec.structs.replace(spec, server=None, image=None, pod=None)
        spec = msgspec.structs.replace(spec, **said)
        spec.check()
        return spec


#: Options of which an empty value is a mistake to report, not a missing option; and the others.
_STRICT = ("server", "image", "command", "port")
_LENIENT = ("path", "sessions", "sessions_pointer", "sessions_field", "tls", "edge", "guard")


@dataclass(frozen=True, slots=True)
class PodOptions:
    """The pod's API and detector, and the detector's options besides grace and poll."""

    detector: Annotated[
        str | None,
        option(
            POD,
            "NAME",
            f"How the pod decides that a client is dead (default: {DEFAULT_DETECTOR}; docs/detectors.md).",
        ),
    ] = None
    pod_api: Annotated[
        PodApiName | None,
        option(POD, None, "The API of websockets that the pod is built on: threads or tasks (default: sync)."),
    ] = None
    reap: Annotated[
        ReapBy | None,
        option(POD, None, "How the pod ends a dead client's connection (default: the detector's own way)."),
    ] = None
    min_rate: Annotated[
        ByteRate | None,
        option(
            POD,
            "RATE",
            "The slowest rate at which a live client reads (detector halfopen: 64KiB/s).",
            parser=values.positive_rate,
        ),
    ] = None
    outage: Annotated[
        Duration | None, duration(POD, "The longest outage that a session survives (detector halfopen: 1.5 graces).")
    ] = None
    common_outage: Annotated[
        Duration | None,
        duration(POD, "The longest that sessions survive if most go dark at once (detector halfopen: two outages)."),
    ] = None

    def detector_options(self) -> DetectorOptions:
        """Return the detector's options."""
        return DetectorOptions(
            None if self.reap is None else self.reap.value,
            None if self.min_rate is None else float(self.min_rate),
            None if self.outage is None else float(self.outage),
            None if self.pod_api is None else self.pod_api.value,
            None if self.common_outage is None else float(self.common_outage),
        )


#: Where neither the command line nor a target file says so.
_GRACE, _POLL = "30s", "2s"


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """Options for every scenario of a request."""

    exclude: Annotated[
        list[str] | None, option(SCENARIOS, "NAME", "Leave out this scenario or suite of those named. Repeatable.")
    ] = None
    grace: Annotated[
        Duration | None,
        duration(
            SCENARIOS,
            "The longest your server may keep a dead client. Set it to your server's own timeout. Durations in "
            "scenarios refer to it. [default: the target file's, else 30s]",
        ),
    ] = None
    poll: Annotated[
        Duration | None,
        duration(
            SCENARIOS,
            "The time between two checks of the server's watchdog. Scenarios allow for it. [default: the target "
            "file's, else 2s]",
        ),
    ] = None
    hold: Annotated[
        Duration | None, duration(SCENARIOS, "Observe each session for this long, whatever its scenario says.")
    ] = None
    ready: Annotated[Duration, duration(SERVER, "The longest a server may take to begin listening.")] = "30s"  # type: ignore[assignment]
    seed: Seed = None

    def request(
        self, names: Sequence[str], *, target: TargetSpec | None = None, pod: PodOptions = PodOptions()
    ) -> RunRequest:
        """Return the request to run the named scenarios against a server; None: the pod."""
        spec = target or TargetSpec()
        return RunRequest(
            seed=seed_or_random(self.seed),
            grace=float(self.grace or units.duration(spec.grace or _GRACE)),
            poll=float(self.poll or units.duration(spec.poll or _POLL)),
            names=list(names),
            exclude=self.exclude or [],
            target=spec,
            detectors=[] if pod.detector is None else [pod.detector],
            detector_options=pod.detector_options(),
            hold=None if self.hold is None else float(self.hold),
            ready=float(self.ready),
        )


def seed_or_random(seed: int | None) -> int:
    """Return the requested seed, or a random one."""
    return random.SystemRandom().randrange(2**31) if seed is None else seed


@dataclass(frozen=True, slots=True)
class ClockOptions:
    """The clock and the kernel of the runs, and the number of runs at once."""

    jobs: Annotated[
        int | None,
        option(
            CLOCK,
            "N",
            "Run N scenarios at once (default: all). On the virtual clock: N guests (default: one per processor).",
            min=1,
        ),
    ] = None
    clock: Annotated[
        Clock,
        option(
            CLOCK,
            None,
            "The virtual clock skips idle time; it needs a guest kernel (halfopen kernel build). auto: virtual if "
            "possible, else real.",
            envvar="HALFOPEN_CLOCK",
        ),
    ] = Clock.AUTO
    kernel: KernelOption = Kernel.AUTO
    writable: Annotated[list[Path] | None, option(CLOCK, "DIR", "A folder that a server in a guest may write to.")] = (
        None
    )
    wall_limit: Annotated[Duration | None, duration(CLOCK, "End a guest that takes longer than this in real time.")] = (
        None
    )
