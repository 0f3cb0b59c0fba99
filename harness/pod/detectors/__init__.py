"""What decides that a client is dead: one detector a file, chosen by name.

A detector's module has one name, ``create(grace, poll)`` (seconds), which makes a
:class:`harness.pod.detectors._seam.Detector`.
"""
