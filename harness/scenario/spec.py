"""A scenario: client, link, timed faults, and what must become of the session. Read from TOML (docs/scenarios.md)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec

from halfopen import clients, faults, plugins, proxies
from halfopen.clients._behaviour import ClientOptions
from halfopen.errors import InputError
from halfopen.model import schema, text_files
from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.model.pod_api import PodApi
from halfopen.netns.units import ByteRate, Duration, Size

Truth = Literal["dead", "alive", "ended"]
Outcome = Literal["reaped", "kept", "closed"]
Need = Literal["stream", "silence"]


class ClientSpec(msgspec.Struct, frozen=True):
    """The client: a behaviour and its options, as written."""

    behaviour: str
    options: dict[str, Any] = {}

    @property
    def module(self) -> ModuleType:
        """The behaviour's module."""
        return plugins.load(clients, self.behaviour)

    @property
    def parsed(self) -> ClientOptions:
        """The options, converted to the behaviour's type."""
        options: ClientOptions = schema.convert(self.options, self.module.Options, f"client {self.behaviour!r}")
        return options


class Step(msgspec.Struct, frozen=True):
    """A fault at a moment, undone after ``lasting`` (None: at the end of the scenario)."""

    at: Expression
    fault: str
    options: Any
    lasting: Expression | None = None

    @property
    def module(self) -> ModuleType:
        """The fault's module."""
        return plugins.load(faults, self.fault)


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expected outcome of the session."""

    session: Outcome
    hold: Expression = Expression("2.6 * grace")
    """Seconds to observe for, from the first fault or, without one, from the start."""
    within: Expression | None = None
    """Longest time from ``since`` to the end."""
    since: Literal["onset", "fault"] = "onset"
    """Start of the deadline: the onset of the stall (without a stall: the fault), or the fault in any case. On a silent
    server nothing is queued until a detector probes on its own account, long after the client died."""
    reason: str | None = None
    """The reason that the target must give, if it gives any."""
    memory_growth: Size | None = None
    """Most bytes by which the resident memory of the server's processes may grow; None: any."""
    files_left: int | None = 64
    """Most open files that the server may have more after the session than before it; None: any."""
    threads_left: int | None = 64
    """Most threads that the server may have more after the session; None: any. Many libraries keep a pool."""


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Evidence required before the scenario may pass, beyond the client's and the faults' own signatures."""

    drops: tuple[str, ...] = ()
    """Reasons for which the target must have dropped data, if it counts drops."""


class PodSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the built-in pod. No other server can be configured this way."""

    slice_size: Size = Size(32 * 1024)
    slice_interval: Duration = Duration(0.05)
    quiet_after: Expression | None = None
    """Time from the session's start after which the stream falls silent."""
    quiet_for: Expression | None = None
    """Duration of the silence; None: to the end."""
    session_limit: Expression | None = None
    """Time after its start at which the pod closes the session (RFC 6455, section 7.1.2)."""
    tls: bool = False
    """True if the pod speaks TLS (wss://)."""
    api: PodApi | None = None
    """API of websockets that it is built on; None: that of the target, ``sync`` unless asked otherwise."""
    required: bool = False
    """True if the scenario depends on the size and pace of the slices, and they are not merely cheap."""

    @property
    def is_needed(self) -> bool:
        """True if the scenario makes no sense on a server without these settings. A silent server is one of its own."""
        return self.required or self.tls or self.session_limit is not None or self.api is not None

    def __post_init__(self) -> None:
        """Refuse settings that make no stream; raises ValueError."""
        if self.slice_size < 1:
            raise ValueError("slice_size of 0 bytes is out of range: at least 1B")
        if not self.slice_interval:
            raise ValueError("slice_interval of 0s is out of range: slices without a pause between them have no end")
        if self.quiet_for is not None and self.quiet_after is None:
            raise ValueError(f"quiet_for of {str(self.quiet_for)!r} needs a quiet_after to begin at")


class Edge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proxy between the network and the server, in its own host, as on hosted platforms."""

    proxy: str

    @property
    def module(self) -> ModuleType:
        """The proxy's module."""
        return plugins.load(proxies, self.proxy)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario, checked."""

    name: str
    suite: str
    called: str
    """Name on the command line: its suite and name, or its file."""
    title: str
    story: str
    truth: Truth
    client: ClientSpec
    expect: Expect
    link: LinkSpec = LinkSpec()
    steps: tuple[Step, ...] = ()
    signature: Signature = Signature()
    needs: tuple[Need, ...] = ()
    """Habits that a server must have for the scenario to make sense."""
    least_rate: ByteRate | None = None
    """Bytes a second that a server must send at least."""
    largest_message: Size | None = None
    """Bytes that a server's messages may have at most."""
    pod: PodSpec = PodSpec()
    edge: Edge | None = None
    detector: str | None = None
    """The pod's detector that this scenario is meant for; None: any."""
    judged_from: int = 0
    """Number of the step from which deadlines count. Earlier steps need only be shown to have happened."""

    @property
    def needs_pod(self) -> bool:
        """True if only the built-in pod can do what it asks for."""
        quiet = self.pod.quiet_after is not None and "silence" not in self.needs
        asked = quiet or self.pod.is_needed or self.detector is not None
        return asked or any(getattr(step.module, "NEEDS_POD", False) for step in self.steps)

    @property
    def has_needs(self) -> bool:
        """True if it makes sense only on servers with certain habits."""
        return bool(self.needs or self.least_rate is not None or self.largest_message is not None)

    @property
    def needs_container(self) -> bool:
        """True if one of its faults acts on the server's container."""
        return any(getattr(step.module, "NEEDS_CONTAINER", False) for step in self.steps)

    @property
    def netem_fields(self) -> list[str]:
        """Names of the link settings, now or in a step, that only sch_netem can carry out."""
        asked = [self.link.netem_fields, *(getattr(step.options, "netem_fields", []) for step in self.steps)]
        return list(dict.fromkeys(name for fields in asked for name in fields))

    @property
    def disciplines(self) -> dict[str, list[str]]:
        """The queueing disciplines that its link needs, now or in a step, each with the settings that need it."""
        has_rate = self.link.has_rate or any(getattr(step.options, "has_rate", False) for step in self.steps)
        needs = {"netem": self.netem_fields, "tbf": ["rate"] if has_rate else []}
        return {discipline: fields for discipline, fields in needs.items() if fields}


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    story: str
    truth: Truth
    client: str | dict[str, Any]
    expect: Expect
    link: dict[str, Any] = {}
    step: list[dict[str, Any]] = []
    signature: Signature = Signature()
    needs: tuple[Need, ...] = ()
    least_rate: ByteRate | None = None
    largest_message: Size | None = None
    pod: PodSpec = PodSpec()
    edge: Edge | None = None
    detector: str | None = None


class _StepHead(msgspec.Struct, frozen=True, rename={"lasting": "for"}):
    at: Expression
    fault: str
    lasting: Expression | None = None


def load(path: Path, called: str | None = None) -> Scenario:
    """Read and check a scenario's file; raises InputError that names the file, the key and the value."""
    where = called or str(path)
    text = text_files.text_of(path, "scenario file", where)
    return parse(text, name=path.stem, suite=path.parent.name, where=where)


def parse(text: str, *, name: str, suite: str, where: str) -> Scenario:
    """Parse a scenario from TOML text. Errors call it ``where``."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not TOML: {error}") from None
    file = schema.convert(table, _File, where)
    return Scenario(
        name=name,
        suite=suite,
        called=where,
        title=file.title,
        story=file.story,
        truth=file.truth,
        client=client_of(file.client, where),
        link=LinkSpec.from_table(file.link, f"{where}: link"),
        steps=tuple(step_of(step, f"{where}: step {n}") for n, step in enumerate(file.step, 1)),
        expect=_expect(file.expect, where),
        signature=file.signature,
        needs=file.needs,
        least_rate=file.least_rate,
        largest_message=file.largest_message,
        pod=file.pod,
        edge=_edge(file, where),
        detector=file.detector,
    )


def client_of(value: str | dict[str, Any], where: str) -> ClientSpec:
    """Read and check a scenario's client; raises InputError."""
    options = {} if isinstance(value, str) else dict(value)
    behaviour = value if isinstance(value, str) else options.pop("behaviour", None)
    if not isinstance(behaviour, str):
        raise InputError(f"{where}: key 'client.behaviour' is missing")
    if {"receive_buffer", "autotune_to"} <= options.keys():
        raise InputError(f"{where}: keys 'client.receive_buffer' and 'client.autotune_to' exclude each other")
    try:
        spec = ClientSpec(behaviour, options)
        schema.convert(options, spec.module.Options, f"{where}: client")
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    return spec


def step_of(table: dict[str, Any], where: str) -> Step:
    """Read and check a step; raises InputError."""
    head = schema.convert(table, _StepHead, where)
    rest = {key: value for key, value in table.items() if key not in {"at", "fault", "for"}}
    try:
        options_type = plugins.load(faults, head.fault).Options
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    read = getattr(options_type, "from_table", None)
    options = read(rest, where) if read else schema.convert(rest, options_type, where)
    return Step(head.at, head.fault, options, head.lasting)


def _edge(file: _File, where: str) -> Edge | None:
    if file.edge is None:
        return None
    try:
        plugins.load(proxies, file.edge.proxy)
    except InputError as error:
        raise InputError(f"{where}: key 'edge.proxy': {error}") from None
    if file.pod.tls:
        raise InputError(f"{where}: keys 'edge' and 'pod.tls' exclude each other: the proxies here pass plain text on")
    return file.edge


def _expect(expect: Expect, where: str) -> Expect:
    if expect.session == "kept" and expect.within is not None:
        raise InputError(
            f"{where}: key 'expect.within' is {str(expect.within)!r}, but a session that is to be kept has no "
            "deadline; leave it out, 'hold' says how long to look"
        )
    return expect
