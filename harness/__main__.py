"""``python -m harness`` is ``halfopen``."""

from halfopen.cli.quick import main

main()
