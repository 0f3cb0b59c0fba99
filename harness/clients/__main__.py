"""One client: ``python -m harness.clients BEHAVIOUR OPTIONS URL [CA]``, OPTIONS a JSON table, CA a certificate file."""

from __future__ import annotations

import json
import sys

from harness import clients, plugins, schema
from harness.clients._machine import Machine, report


def main() -> None:
    """Run one client; every failure is an event for the harness to read."""
    name, options_text, url, *authority = sys.argv[1:]
    module = plugins.load(clients, name, "client")
    options = schema.convert(json.loads(options_text), module.Options, f"client {name!r}")
    try:
        Machine(module.Behaviour(options), options, url, *authority).run()
    except OSError as error:
        report("unreachable", why=str(error))


if __name__ == "__main__":
    main()
