"""A scenario: client, link, timed faults, and what must become of the session (docs/scenarios.md)."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, Literal

import msgspec

from halfopen import clients, faults, plugins, proxies
from halfopen.clients._behaviour import ClientOptions
from halfopen.clients._messages import Retry
from halfopen.model import schema
from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.model.pod_api import PodApi
from halfopen.netns.units import ByteRate, Duration, Share, Size

Truth = Literal["dead", "alive", "ended"]
Outcome = Literal["reaped", "kept", "closed", "refused"]
Need = Literal["stream", "silence"]

#: Names of the client that a scenario is about, and of all those to whom nothing is done.
SUBJECT, BYSTANDERS = "subject", "bystanders"
#: Name of the many alike clients behind one link, in steps, timelines and results.
CROWD = "crowd"
#: Number of clients in a crowd, unless it is given.
CROWD_COUNT = 50
#: Moment at which a client connects: once the subject's session is over, or at the end of the hold.
AT_THE_END = "end"
#: What session is expected of a client, and the truth about the client that makes it right.
TRUTHS: dict[Outcome, Truth] = {"reaped": "dead", "kept": "alive", "closed": "ended", "refused": "ended"}


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
    on: str = SUBJECT
    """Name of the client that it strikes, BYSTANDERS for all of them, or CROWD."""

    @property
    def module(self) -> ModuleType:
        """The fault's module."""
        return plugins.load(faults, self.fault)

    def prepare(self) -> None:
        """Do what the fault cannot wait for once it is due."""
        if prepare := getattr(self.module, "prepare", None):
            prepare()


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
    longest_gap: Expression | None = None
    """Longest time without received data, as long as the session is open. Pings are no data. None: any."""
    received_at_least: Size | None = None
    """Least bytes of messages received; None: any."""
    admitted_within: Expression | None = None
    """Longest time from the connection attempt to an open session; None: any."""
    served_within: Expression | None = None
    """Longest time from the connection attempt to the first data; None: any."""
    close_code: int | None = None
    """Code of the close frame that must end or refuse the session; None: any."""
    status: int | None = None
    """HTTP status that must refuse the session; None: any."""
    sessions: int | None = None
    """Sessions that the server's own list must have at the end, if it keeps one; None: any."""


class OtherClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client besides the subject."""

    name: str
    client: ClientSpec
    expect: Expect
    link: LinkSpec = LinkSpec()
    at: Expression | None = None
    """Time at which it connects, from the scenario's start; None: before the subject, or AT_THE_END."""
    at_the_end: bool = False
    """True if it connects once the subject's session is over."""
    host: str | None = None
    """Name of an earlier client whose host, address and link it shares; None: a host of its own."""
    user: str
    """Name of the user that it is for the server."""
    query: str = ""
    """Addition to the query of the URL."""

    @property
    def comes_first(self) -> bool:
        """True if it connects before the subject."""
        return self.at is None and not self.at_the_end


class Reconnect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way in which clients come back after their sessions: exponential backoff."""

    base: Duration = Duration(1.0)
    """First wait. Each further one is twice as long."""
    most: Duration = Duration(30.0)
    """Longest wait."""
    jitter: Share = Share(0.0)
    """Share of each wait that is drawn at random."""

    def __post_init__(self) -> None:
        """Refuse waits that would make a busy loop, or shrink; raises ValueError."""
        if not self.base:
            raise ValueError("base of 0s is out of range: clients that do not wait try without a pause")
        if self.most < self.base:
            raise ValueError(f"most of {self.most:g}s is out of range: at least base, {self.base:g}s")

    @property
    def retry(self) -> Retry:
        """The same for the clients' process."""
        return Retry(base=float(self.base), most=float(self.most), jitter=float(self.jitter))


class CrowdExpect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expected treatment of a crowd; None: any."""

    all_served_within: Expression | None = None
    """Longest time from the end of the last fault until every client gets data again."""
    longest_gap: Expression | None = None
    """Longest time without data for any client, over all its connections."""
    most_reaps: int | None = None
    """Most sessions that the server may end though their clients are alive."""
    most_reaps_per_second: int | None = None
    """The same in any one second."""
    most_overflows: int | None = None
    """Most connection attempts for which the server's accept queue was full (ListenOverflows)."""
    files_left: int | None = 32
    """Most open files that the server may have more after the crowd has left than before it came."""
    threads_left: int | None = 32
    """The same for threads. A leak at each connection exceeds it, a pool of the usual size does not."""


class CrowdSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of a crowd."""

    client: ClientSpec
    count: int = CROWD_COUNT
    link: LinkSpec = LinkSpec()
    reconnect: Reconnect | None = None
    """None: a client whose session is over stays away."""
    patience: Duration | None = None
    """Time without data after which a client gives its connection up and comes back; None: never."""
    connects_within: Duration = Duration(10.0)
    """Longest time for one attempt to connect, websockets' own default (open_timeout)."""
    expect: CrowdExpect = CrowdExpect()


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
    seats: int | None = None
    """Most sessions at once; None: as many as the scenario has clients when it begins."""

    @property
    def is_needed(self) -> bool:
        """True if the scenario makes no sense on a server without these settings. A silent server is one of its own."""
        return self.required or self.tls or self.session_limit is not None or self.api is not None

    def __post_init__(self) -> None:
        """Refuse settings that make no stream; raises ValueError."""
        if self.slice_size < 1:
            raise ValueError("slice_size of 0 bytes is out of range: at least 1B")
        if self.seats is not None and self.seats < 1:
            raise ValueError(f"seats of {self.seats} is out of range: at least 1")
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
    longest_pause: Duration | None = None
    """Seconds for which a server may say nothing at most."""
    pod: PodSpec = PodSpec()
    edge: Edge | None = None
    detector: str | None = None
    """The pod's detector that this scenario is meant for; None: any."""
    judged_from: int = 0
    """Number of the step from which deadlines count. Earlier steps need only be shown to have happened."""
    served_from: float = -math.inf
    """Seconds from the start since which gaps between received data count."""
    others: tuple[OtherClient, ...] = ()
    """The other clients, in the order in which they connect."""
    crowd: CrowdSpec | None = None
    """Many alike clients behind one link, which connect after the subject."""
    is_other: bool = False
    """True if this is the part of a scenario that concerns one of the other clients."""
    has_company: bool = False
    """True if the server has other clients too."""
    gives_way: bool = False
    """True if its user comes as another client too, for whom a server may close this session with a code of its own."""

    @property
    def bystanders(self) -> list[str]:
        """Names of the other clients that are there from the start and that no step strikes."""
        there = [other.name for other in self.others if other.comes_first]
        return [name for name in there if not self.steps_on(name)]

    @staticmethod
    def strikes(step: Step, name: str) -> bool:
        """True if the step strikes the client of this name."""
        return step.on == name or (step.on == BYSTANDERS and name not in (SUBJECT, CROWD))

    def steps_on(self, name: str) -> list[Step]:
        """Return the steps that strike the client of this name."""
        return [step for step in self.steps if self.strikes(step, name)]

    @property
    def pod_at_start(self) -> PodSpec:
        """Settings of the pod, with a seat for each client that is there when the scenario begins.

        A crowd may come back before its old sessions end, so it has two seats for each client.
        """
        clients = 1 + sum(other.comes_first for other in self.others)
        clients += 2 * self.crowd.count if self.crowd else 0
        if self.pod.seats is not None or clients == 1:
            return self.pod
        return msgspec.structs.replace(self.pod, seats=clients)

    def part(self, name: str) -> Scenario:
        """Return the part that concerns one client, as a scenario with this client only."""
        steps = tuple(self.steps_on(name))
        if name == SUBJECT:
            gives_way = any(other.user == SUBJECT for other in self.others)
            return msgspec.structs.replace(self, steps=steps, others=(), crowd=None, gives_way=gives_way)
        other = next(other for other in self.others if other.name == name)
        return msgspec.structs.replace(
            self,
            truth=TRUTHS[other.expect.session],
            client=other.client,
            link=other.link,
            steps=steps,
            expect=other.expect,
            signature=Signature(),
            judged_from=0,
            others=(),
            crowd=None,
            is_other=True,
        )

    @property
    def needs_pod(self) -> bool:
        """True if only the built-in pod can do what it asks for."""
        quiet = self.pod.quiet_after is not None and "silence" not in self.needs
        asked = quiet or self.pod.is_needed or self.detector is not None
        return asked or any(getattr(step.module, "NEEDS_POD", False) for step in self.steps)

    @property
    def has_needs(self) -> bool:
        """True if it makes sense only on servers with certain habits."""
        limits = (self.least_rate, self.largest_message, self.longest_pause)
        return bool(self.needs) or any(limit is not None for limit in limits)

    @property
    def needs_container(self) -> bool:
        """True if one of its faults acts on the server's container."""
        return any(getattr(step.module, "NEEDS_CONTAINER", False) for step in self.steps)

    @property
    def _links(self) -> list[LinkSpec]:
        crowd = [] if self.crowd is None else [self.crowd.link]
        return [self.link, *(other.link for other in self.others), *crowd]

    @property
    def netem_fields(self) -> list[str]:
        """Names of the link settings, now or in a step, that only sch_netem can carry out."""
        links = self._links
        asked = [link.netem_fields for link in links]
        asked += [getattr(step.options, "netem_fields", []) for step in self.steps]
        return list(dict.fromkeys(name for fields in asked for name in fields))

    @property
    def disciplines(self) -> dict[str, list[str]]:
        """The queueing disciplines that its link needs, now or in a step, each with the settings that need it."""
        links = self._links
        has_rate = any(link.has_rate for link in links) or any(
            getattr(step.options, "has_rate", False) for step in self.steps
        )
        needs = {"netem": self.netem_fields, "tbf": ["rate"] if has_rate else []}
        return {discipline: fields for discipline, fields in needs.items() if fields}
