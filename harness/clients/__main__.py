"""One client: ``python -m halfopen.clients BEHAVIOUR OPTIONS ENDPOINT``.

OPTIONS and ENDPOINT are JSON (halfopen.clients._messages.Endpoint).
"""

from __future__ import annotations

import contextlib
import json
import sys

import msgspec

from halfopen import clients, plugins
from halfopen.clients._machine import ClientMachine, NotOpenedError
from halfopen.clients._messages import Endpoint, report
from halfopen.model import schema


def main() -> None:
    """Run one client; every failure is an event for the harness to read."""
    name, options_text, endpoint_text = sys.argv[1:]
    module = plugins.load(clients, name)
    options = schema.convert(json.loads(options_text), module.Options, f"client {name!r}")
    try:
        with contextlib.suppress(NotOpenedError):
            ClientMachine(module.Behaviour(options), options, msgspec.json.decode(endpoint_text, type=Endpoint)).run()
    except OSError as error:
        report("unreachable", why=(error.strerror or str(error)).lower(), how=type(error).__name__)


if __name__ == "__main__":
    main()
