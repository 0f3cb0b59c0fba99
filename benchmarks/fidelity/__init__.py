"""Accuracy of time and impairments on the virtual and on a real clock: ``python -m benchmarks.fidelity``.

The kernel under test measures everything itself: elapsed time by CLOCK_MONOTONIC, packets by its own timestamps.
``--write`` puts the tables into docs/clock.md.
"""
