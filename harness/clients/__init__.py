"""WebSocket clients, one behaviour a file, each in a process of its own.

A behaviour's module has three names:

``Options``
    a :class:`halfopen.clients._behaviour.ClientOptions` with what a scenario may set, in units.
``Behaviour``
    made from the options; says how many bytes may be read now and what is acknowledged.
``signature(seen)``
    what the samples must show for a client that behaved so (:class:`halfopen.model.evidence.Proof`).
"""
