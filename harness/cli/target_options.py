"""Options that describe the server under test. They override the file of ``--target``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from halfopen.cli.options import SERVER
from halfopen.scenario import target_spec
from halfopen.scenario.target_spec import TargetSpec

_option = partial(typer.Option, rich_help_panel=SERVER)

Server = Annotated[
    str | None,
    _option(
        metavar="CMD",
        help="The command that starts your server. {host} and {port} are filled in.",
        rich_help_panel=SERVER,
    ),
]
Image = Annotated[
    str | None,
    _option(
        metavar="IMAGE",
        help="Test a container of this image instead. Docker must have pulled it.",
        rich_help_panel=SERVER,
    ),
]
ImageCommand = Annotated[
    str | None,
    _option(
        "--command",
        metavar="CMD",
        help="The command to run in the image, instead of the image's own.",
        rich_help_panel=SERVER,
    ),
]
Port = Annotated[
    int | None,
    _option(
        metavar="PORT", help="The port your server listens on, if its command takes no {port}.", rich_help_panel=SERVER
    ),
]
Environment = Annotated[
    list[str] | None,
    _option(
        "--env",
        metavar="NAME=VALUE",
        help="An environment variable for your server. Repeatable.",
        rich_help_panel=SERVER,
    ),
]
TargetFile = Annotated[
    Path | None,
    _option(
        "--target",
        metavar="FILE",
        help="A TOML file that describes your server (docs/targets.md). Options override it.",
        rich_help_panel=SERVER,
    ),
]
UrlPath = Annotated[
    str | None,
    _option("--path", help="The WebSocket path that clients request (default: /)."),
]
Subprotocols = Annotated[
    list[str] | None,
    _option(
        "--subprotocol", metavar="NAME", help="A subprotocol that clients offer. Repeatable.", rich_help_panel=SERVER
    ),
]
Headers = Annotated[
    list[str] | None,
    _option(
        "--header",
        metavar="'NAME: VALUE'",
        help="A header that clients add to their handshake. Repeatable.",
        rich_help_panel=SERVER,
    ),
]
Send = Annotated[
    list[str] | None,
    _option(
        metavar="TEXT",
        help="A message that each client sends first, such as a token or a subscription. Repeatable.",
        rich_help_panel=SERVER,
    ),
]
Sessions = Annotated[
    str | None,
    _option(
        metavar="PATH",
        help="The HTTP path of your server's own session list, a JSON array. Runs then check it too.",
        rich_help_panel=SERVER,
    ),
]
SessionsPointer = Annotated[
    str | None,
    _option(
        metavar="POINTER",
        help="The place of the list in the answer, as a JSON Pointer: /data/sessions.",
        rich_help_panel=SERVER,
    ),
]
SessionsField = Annotated[
    str | None,
    _option(metavar="FIELD", help="The field of a session that holds its client's address.", rich_help_panel=SERVER),
]
Tls = Annotated[
    bool | None,
    _option(
        "--tls",
        help="Connect by wss://. Your command gets {cert} and {key}, files made for this run.",
        rich_help_panel=SERVER,
    ),
]
EdgeOption = Annotated[
    str | None,
    _option(
        "--edge", metavar="NAME", help="Put a proxy in front of your server: nginx or haproxy.", rich_help_panel=SERVER
    ),
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
