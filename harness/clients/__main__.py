"""One client: ``python -m halfopen.clients BEHAVIOUR OPTIONS``, with OPTIONS as JSON. ``crowd`` after them makes many.

The first line of its standard input is the endpoint, or the crowd's order, as JSON (halfopen.clients._messages). Other
orders follow.
"""

from __future__ import annotations

import contextlib
import json
import sys

import msgspec

from halfopen import clients, plugins
from halfopen.clients._crowd import Crowd
from halfopen.clients._machine import ClientMachine, NotOpenedError
from halfopen.clients._messages import CrowdOrder, Endpoint, report
from halfopen.model import schema


def main() -> None:
    """Run one client, or a crowd; every failure is an event for the harness to read."""
    name, options_text, *is_crowd = sys.argv[1:]
    module = plugins.load(clients, name)
    options = schema.convert(json.loads(options_text), module.Options, f"client {name!r}")
    text = sys.stdin.buffer.readline()
    if not text.endswith(b"\n"):  # the harness is gone
        return
    if is_crowd:
        Crowd(module.Behaviour, options, msgspec.json.decode(text, type=CrowdOrder)).run()
        return
    try:
        with contextlib.suppress(NotOpenedError):
            ClientMachine(module.Behaviour(options), options, msgspec.json.decode(text, type=Endpoint)).run()
    except OSError as error:
        report("unreachable", why=(error.strerror or str(error)).lower(), how=type(error).__name__)


if __name__ == "__main__":
    main()
