"""Run ``halfopen`` by ``python -m harness``."""

from halfopen.cli.quick import main

main()
