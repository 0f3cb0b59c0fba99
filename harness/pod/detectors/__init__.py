"""Detectors of dead clients: one a file, chosen by name.

A detector's module has one function, ``create(settings)``, which makes a :class:`halfopen.pod.detectors._seam.Detector`
from :class:`halfopen.pod.detectors._seam.Settings`. The first line of its docstring describes its test. A detector with
times of its own, whatever the grace, sets ``OWN_TIMES = True``.
"""
