"""One client: ``python -m halfopen.clients BEHAVIOUR OPTIONS``, with OPTIONS as JSON.

The first line of its standard input is the door, as JSON (halfopen.clients._door). Orders follow.
"""

from __future__ import annotations

import contextlib
import json
import sys

import msgspec

from halfopen import clients, plugins
from halfopen.clients._door import Door
from halfopen.clients._machine import ClientMachine
from halfopen.clients._opening import NotOpenedError
from halfopen.clients._reporting import report
from halfopen.model import schema


def main() -> None:
    """Run one client; every failure is an event for the harness to read."""
    name, options_text = sys.argv[1:]
    module = plugins.load(clients, name, "client")
    options = schema.convert(json.loads(options_text), module.Options, f"client {name!r}")
    door = sys.stdin.buffer.readline()
    if not door.endswith(b"\n"):  # the harness is gone
        return
    try:
        with contextlib.suppress(NotOpenedError):
            ClientMachine(module.Behaviour(options), options, msgspec.json.decode(door, type=Door)).run()
    except OSError as error:
        report("unreachable", why=(error.strerror or str(error)).lower(), how=type(error).__name__)


if __name__ == "__main__":
    main()
