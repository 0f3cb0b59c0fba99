"""One client: ``python -m harness.clients BEHAVIOUR OPTIONS DOOR``, both JSON tables, DOOR of harness.clients._door."""

from __future__ import annotations

import contextlib
import json
import sys

import msgspec

from harness import clients, plugins, schema
from harness.clients._door import Door
from harness.clients._machine import Machine
from harness.clients._opening import NotOpenedError
from harness.clients._reporting import report


def main() -> None:
    """Run one client; every failure is an event for the harness to read."""
    name, options_text, door_text = sys.argv[1:]
    module = plugins.load(clients, name, "client")
    options = schema.convert(json.loads(options_text), module.Options, f"client {name!r}")
    try:
        with contextlib.suppress(NotOpenedError):
            Machine(module.Behaviour(options), options, msgspec.json.decode(door_text, type=Door)).run()
    except OSError as error:
        report("unreachable", why=(error.strerror or str(error)).lower(), how=type(error).__name__)


if __name__ == "__main__":
    main()
