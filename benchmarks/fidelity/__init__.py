"""How exact time and impairments are, on the virtual clock and on a real one: ``python -m benchmarks.fidelity``.

Everything is measured inside by the kernel under test: elapsed time by CLOCK_MONOTONIC, packets by the
kernel's own timestamps. ``--write`` puts the tables into docs/clock.md.
"""
