"""WebSocket clients, one behaviour a file, each in a process of its own.

A behaviour's module has three names:

``Options``
    a :class:`halfopen.clients._behaviour.ClientOptions` with a scenario's settings, in units.
``Behaviour``
    made from the options; decides how many bytes may be read now, and which are acknowledged.
``signature(seen)``
    the evidence that samples must show for such a client (:class:`halfopen.model.evidence.Proof`).
"""
