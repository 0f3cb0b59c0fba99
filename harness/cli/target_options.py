"""Options that describe the server under test. They override the file of ``--target``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec

Server = Annotated[
    str | None,
    typer.Option(metavar="CMD", help="Test this command instead of the pod; {host} and {port} are filled in."),
]
Image = Annotated[
    str | None,
    typer.Option(metavar="IMAGE", help="Test a container of this image, which the engine (Docker) must have already."),
]
ImageCommand = Annotated[
    str | None,
    typer.Option("--command", metavar="CMD", help="What runs in the image in place of its own command."),
]
Port = Annotated[
    int | None,
    typer.Option(metavar="PORT", help="Where the server listens, if it cannot be told by {port}."),
]
Environment = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="A variable for the server's environment; may be repeated."),
]
TargetFile = Annotated[
    Path | None, typer.Option("--target", metavar="FILE", help="A TOML file that describes the server ([target]).")
]
UrlPath = Annotated[str | None, typer.Option("--path", help="WebSocket path the clients ask for (default: /).")]
Subprotocols = Annotated[
    list[str] | None, typer.Option("--subprotocol", metavar="NAME", help="What clients offer; may be repeated.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="'NAME: VALUE'", help="What clients add to their handshake; may be repeated."),
]
Send = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="A message with which clients begin (a token, a subscription); may be repeated."),
]
Sessions = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="HTTP path of the server's own session list, asserted too."),
]
SessionsPointer = Annotated[
    str | None, typer.Option(metavar="POINTER", help="Where in the answer the list is (JSON Pointer: /data/sessions).")
]
SessionsField = Annotated[
    str | None, typer.Option(metavar="FIELD", help="Which field of a session has its client's address.")
]
Tls = Annotated[
    bool | None,
    typer.Option("--tls", help="Connect by wss://; the command gets {cert} and {key}, of an authority made for it."),
]
EdgeOption = Annotated[
    str | None, typer.Option("--edge", metavar="NAME", help="Put a proxy in front of the server: nginx, haproxy.")
]


_NEVER_EMPTY = ("server", "image", "command", "port")


def described(
    file: Path | None, headers: list[str] | None, environment: list[str] | None = None, **given: Any
) -> TargetSpec:
    """Return the server that the options describe, each None if not given; raises InputError."""
    spec = TargetSpec() if file is None else target_spec.load(file)
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if value}
    if headers:
        said["headers"] = spec.headers | dict(map(target_spec.header, headers))
    if environment:
        said["environment"] = spec.environment | dict(map(target_spec.variable, environment))
    # An empty value is a mistake to report, not a missing option.
    said |= {name: given[name] for name in _NEVER_EMPTY if given.get(name) is not None}
    # A server named on the command line wins over the one in the file.
    if given.get("server") is not None or given.get("image") is not None:
        spec = msgspec.structs.replace(spec, server=None, image=None)
    found = msgspec.structs.replace(spec, **said)
    found.check()
    return found
