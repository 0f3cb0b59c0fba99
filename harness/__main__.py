"""``python -m harness`` is ``halfopen``."""

from harness.cli.app import main

main()
