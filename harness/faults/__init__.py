"""Things done to a client, its host or its link at a moment of a scenario, one fault a file.

A fault's module has three names:

``Options``
    a frozen msgspec struct with what a step may set, in units; one with ``from_table(table, where)`` reads itself.
``fault(scene, options)``
    a context manager: entering does it and returns once it is done, leaving undoes it.
``signature(seen)``
    what the samples taken while it was in force must show (:class:`halfopen.model.evidence.Proof`).
"""
