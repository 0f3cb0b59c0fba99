"""What decides that a client is dead: one detector a file, chosen by name.

A detector's module has one name, ``create(settings)``, which makes a
:class:`halfopen.pod.detectors._seam.Detector` of :class:`halfopen.pod.detectors._seam.Settings`. The first line of its
docstring says what it asks. One that goes by times of its own, whatever the grace, says so by ``OWN_TIMES = True``.
"""
