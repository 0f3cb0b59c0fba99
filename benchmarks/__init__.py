"""What the lab costs, against the usual ways to do the same, measured in one run: ``python -m benchmarks``."""
