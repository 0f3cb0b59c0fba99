"""Faults of a client, its host, its link or its server at a moment of a scenario, one fault a file.

A fault's module has these names:

``SUMMARY``
    its effect in one line, for lists, stories and reports.
``Options``
    a frozen msgspec struct with a step's settings, in units; one with ``from_table(table, where)`` reads itself.
``fault(scene, options)``
    a context manager: entering does it and returns once it is done, leaving undoes it.
``signature(seen)``
    the evidence that samples taken while it was in force must show (:class:`halfopen.model.evidence.Proof`).

It may have more:

``STRIKES``
    the place of the fault, ``"link"`` or ``"server"`` (default: the client).
``prepare()``
    a function that does what cannot wait once the fault is due, such as a long import. It may be called several times.
``IS_FINAL = True``
    it cannot be undone.
``KILLS = True``
    after it the client is dead, for a scenario in which it is to die.
``STOPS_CLIENT = True``
    it stops the client's process.
``NEEDS_POD = True``, ``NEEDS_CONTAINER = True``
    only the pod, or only a server in a container, can take it.
``ENDS_SESSION = True``
    it makes the server end the session, whatever its detector.
"""

NOUN = "fault"
NEEDS = ("Options", "fault", "signature")
