"""Read a scenario from TOML, and check it (docs/scenarios.md)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from halfopen import faults, plugins, proxies
from halfopen.errors import InputError
from halfopen.model import schema, text_files
from halfopen.model.expressions import Expression
from halfopen.model.link_spec import LinkSpec
from halfopen.netns.units import ByteRate, Duration, Size
from halfopen.scenario.spec import (
    AT_THE_END,
    BYSTANDERS,
    CROWD,
    CROWD_COUNT,
    SUBJECT,
    ClientSpec,
    CrowdExpect,
    CrowdSpec,
    Edge,
    Expect,
    Need,
    OtherClient,
    PodSpec,
    Reconnect,
    Scenario,
    Signature,
    Step,
    Truth,
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: Most bystanders. Each is a process.
_MOST_BYSTANDERS = 20
#: Most clients of a crowd. They are one process, each with a socket.
_MOST_IN_A_CROWD = 2000


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    story: str
    truth: Truth
    client: str | dict[str, Any] | list[dict[str, Any]]
    expect: Expect
    bystanders: dict[str, Any] | None = None
    crowd: dict[str, Any] | None = None
    link: dict[str, Any] = {}
    step: list[dict[str, Any]] = []
    signature: Signature = Signature()
    needs: tuple[Need, ...] = ()
    least_rate: ByteRate | None = None
    largest_message: Size | None = None
    longest_pause: Duration | None = None
    pod: PodSpec = PodSpec()
    edge: Edge | None = None
    detector: str | None = None


class _StepHead(msgspec.Struct, frozen=True, rename={"lasting": "for"}):
    at: Expression
    fault: str
    lasting: Expression | None = None
    on: str = SUBJECT


class _Bystanders(msgspec.Struct, frozen=True, kw_only=True):
    count: int = 1
    behaviour: str = "acking"
    link: dict[str, Any] = {}
    expect: dict[str, Any] = {}


class _OtherHead(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    behaviour: str = "acking"
    link: dict[str, Any] | None = None
    at: str | None = None
    host: str | None = None
    user: str | None = None
    query: str = ""
    expect: dict[str, Any] = {}


class _Crowd(msgspec.Struct, frozen=True, kw_only=True):
    count: int = CROWD_COUNT
    behaviour: str = "acking"
    reconnect: Reconnect | None = None
    patience: Duration | None = None
    connects_within: Duration = Duration(10.0)
    link: dict[str, Any] = {}
    expect: CrowdExpect = CrowdExpect()


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
    subject: str | dict[str, Any]
    further: list[dict[str, Any]] = []
    if isinstance(file.client, list):
        if not file.client:
            raise InputError(f"{where}: key 'client' is an empty list; describe at least one client")
        subject, *further = file.client
    else:
        subject = file.client
    link = LinkSpec.from_table(file.link, f"{where}: link")
    others = (*_bystanders(file.bystanders, where), *_others(further, link, where))
    crowd = _crowd(file.crowd, where)
    return Scenario(
        name=name,
        suite=suite,
        called=where,
        title=file.title,
        story=file.story,
        truth=file.truth,
        client=_subject(subject, where),
        link=link,
        steps=_steps(file.step, others, where, is_crowded=crowd is not None),
        expect=_expect(file.expect, where),
        signature=file.signature,
        needs=file.needs,
        least_rate=file.least_rate,
        largest_message=file.largest_message,
        longest_pause=file.longest_pause,
        pod=file.pod,
        edge=_edge(file, where),
        detector=file.detector,
        others=others,
        crowd=crowd,
        has_company=bool(others) or crowd is not None,
    )


def _subject(value: str | dict[str, Any], where: str) -> ClientSpec:
    """Read the first client. In a list of clients it may be named."""
    if isinstance(value, dict) and value.get("name", SUBJECT) != SUBJECT:
        raise InputError(
            f"{where}: key 'client.name' is {value['name']!r}, but the first client is the {SUBJECT}; leave it out"
        )
    return client_of({k: v for k, v in value.items() if k != "name"} if isinstance(value, dict) else value, where)


def _steps(
    tables: list[dict[str, Any]], others: tuple[OtherClient, ...], where: str, *, is_crowded: bool
) -> tuple[Step, ...]:
    steps = tuple(step_of(step, f"{where}: step {n}") for n, step in enumerate(tables, 1))
    names = [SUBJECT, *([BYSTANDERS] if others else []), *(other.name for other in others)]
    names += [CROWD] if is_crowded else []
    for number, step in enumerate(steps, 1):
        if step.on not in names:
            raise InputError(f"{where}: step {number}: key 'on' is {step.on!r}; clients here: {', '.join(names)}")
        if step.on == CROWD and getattr(step.module, "STRIKES", "client") != "link":
            raise InputError(
                f"{where}: step {number}: key 'fault' is {step.fault!r}; a crowd is struck by its link: "
                f"{', '.join(_link_faults())}"
            )
    return steps


def _link_faults() -> list[str]:
    """Return the faults that strike a client's link."""
    names = plugins.names(faults)
    return [name for name in names if getattr(plugins.load(faults, name), "STRIKES", "client") == "link"]


def _bystanders(table: dict[str, Any] | None, where: str) -> list[OtherClient]:
    """Read the table of clients to whom nothing is done; raises InputError."""
    if table is None:
        return []
    where = f"{where}: bystanders"
    head = schema.convert({k: v for k, v in table.items() if k in _Bystanders.__struct_fields__}, _Bystanders, where)
    if not 1 <= head.count <= _MOST_BYSTANDERS:
        raise InputError(f"{where}: key 'count' is {head.count}; it must be from 1 to {_MOST_BYSTANDERS}")
    options = {k: v for k, v in table.items() if k not in _Bystanders.__struct_fields__}
    client = client_of({"behaviour": head.behaviour, **options}, where)
    link, expect = LinkSpec.from_table(head.link, f"{where}: link"), _expect_of_other(head.expect, where)
    names = [f"bystander-{number}" for number in range(1, head.count + 1)]
    return [OtherClient(name=name, client=client, expect=expect, link=link, user=name) for name in names]


def _crowd(table: dict[str, Any] | None, where: str) -> CrowdSpec | None:
    """Read and check the table ``[crowd]``; raises InputError."""
    if table is None:
        return None
    where = f"{where}: crowd"
    own = {key: value for key, value in table.items() if key in _Crowd.__struct_fields__}
    head = schema.convert(own, _Crowd, where)
    if not 1 <= head.count <= _MOST_IN_A_CROWD:
        raise InputError(f"{where}: key 'count' is {head.count}; it must be from 1 to {_MOST_IN_A_CROWD}")
    options = {key: value for key, value in table.items() if key not in _Crowd.__struct_fields__}
    return CrowdSpec(
        client=client_of({"behaviour": head.behaviour, **options}, where),
        count=head.count,
        link=LinkSpec.from_table(head.link, f"{where}: link"),
        reconnect=head.reconnect,
        patience=head.patience,
        connects_within=head.connects_within,
        expect=head.expect,
    )


def _others(tables: list[dict[str, Any]], link: LinkSpec, where: str) -> list[OtherClient]:
    """Read the named clients after the first; raises InputError."""
    others: list[OtherClient] = []
    links = {SUBJECT: link}
    for number, table in enumerate(tables, 2):
        here = f"{where}: client {number}"
        head = schema.convert({k: v for k, v in table.items() if k in _OtherHead.__struct_fields__}, _OtherHead, here)
        names = [SUBJECT, *(other.name for other in others)]
        if head.name in names or not _NAME.fullmatch(head.name) or head.name in (BYSTANDERS, CROWD):
            raise InputError(f"{here}: key 'name' is {head.name!r}; use letters, digits and dashes, and each name once")
        if head.host is not None and head.host not in names:
            raise InputError(f"{here}: key 'host' is {head.host!r}; earlier clients: {', '.join(names)}")
        if head.host is not None and head.link is not None:
            raise InputError(f"{here}: keys 'host' and 'link' exclude each other: clients of one host share its link")
        options = {k: v for k, v in table.items() if k not in _OtherHead.__struct_fields__}
        is_end = head.at == AT_THE_END
        links[head.name] = links[head.host] if head.host else LinkSpec.from_table(head.link or {}, f"{here}: link")
        others.append(
            OtherClient(
                name=head.name,
                client=client_of({"behaviour": head.behaviour, **options}, here),
                expect=_expect_of_other(head.expect, here),
                link=links[head.name],
                at=None if head.at is None or is_end else schema.convert(head.at, Expression, f"{here}: at"),
                at_the_end=is_end,
                host=head.host,
                user=head.user or head.name,
                query=head.query,
            )
        )
    return others


def _expect_of_other(table: dict[str, Any], where: str) -> Expect:
    """Read the expectation of another client: by default it is kept. It is observed as long as the subject is."""
    # The server's other clients come and go.
    defaults = {"session": "kept", "hold": "0s", "files_left": None, "threads_left": None}
    return _expect(schema.convert({**defaults, **table}, Expect, f"{where}: expect"), where)


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
    rest = {key: value for key, value in table.items() if key not in {"at", "fault", "for", "on"}}
    try:
        options_type = plugins.load(faults, head.fault).Options
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    read = getattr(options_type, "from_table", None)
    options = read(rest, where) if read else schema.convert(rest, options_type, where)
    return Step(head.at, head.fault, options, head.lasting, head.on)


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
    if expect.status is not None and expect.session != "refused":
        raise InputError(
            f"{where}: key 'expect.status' is {expect.status}, but only a session that is refused has an HTTP status; "
            'leave it out, or expect session = "refused"'
        )
    if expect.session == "kept" and expect.within is not None:
        raise InputError(
            f"{where}: key 'expect.within' is {str(expect.within)!r}, but a session that is to be kept has no "
            "deadline; leave it out, 'hold' says how long to look"
        )
    return expect
