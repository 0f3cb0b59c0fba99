"""The built-in reference server: the system of the incident, on the sync API of the ``websockets`` library.

It has one seat, slices that stream at a fixed rate, a session registry, flow control by the client's own
acknowledgements, and a choice of detectors. ``python -m halfopen.pod --help`` runs it by itself.
"""
