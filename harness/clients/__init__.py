"""WebSocket clients, one behaviour a file, each in a process of its own.

A behaviour's module has these names:

``SUMMARY``
    its behaviour in one line.
``Options``
    a :class:`halfopen.clients._behaviour.ClientOptions` with a scenario's settings, in units.
``Behaviour``
    a :class:`halfopen.clients._behaviour.Behaviour`: how many bytes are read now, and which are acknowledged.
``signature(seen)``
    the evidence that samples must show for such a client (:class:`halfopen.model.evidence.Proof`).
"""

NOUN = "client"
NEEDS = ("Options", "Behaviour", "signature")
