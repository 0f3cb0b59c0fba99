"""``python -m harness`` is ``halfopen``."""

from harness.cli.quick import main

main()
