"""Compare the lab's costs with the usual ways to do the same, in one run: ``python -m benchmarks``."""
