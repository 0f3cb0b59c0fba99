"""Makes a guest that has no memory left end a process, where it would otherwise read its programs' pages for ever.

A kernel without swap gives up file pages first, those of the programs that run among them, and each that it
reads back counts as progress: with a few left it may read the same ones again and again, and never come to
the end of its memory (seen once in about a hundred times; on the virtual clock no time passes meanwhile).
So a sixteenth of the memory is kept for file pages: with fewer than that, none is taken away.
"""

from __future__ import annotations

from pathlib import Path

from netns.guest.source_edits import Edit, apply

_KEEP = """\
		scan >>= sc->priority;
		if (file && node_page_state(lruvec_pgdat(lruvec), NR_ACTIVE_FILE) +
			node_page_state(lruvec_pgdat(lruvec), NR_INACTIVE_FILE) < totalram_pages() / 16)
			scan = 0;
"""

#: In get_scan_count, which says how many pages of each kind are looked at.
_EDITS = (Edit("mm/vmscan.c", "\t\tscan >>= sc->priority;\n", _KEEP),)


def keep_file_pages(tree: Path) -> bool:
    """Change the kernel source in ``tree``; False, and nothing is changed, if it is not as it was known to be."""
    return apply(_EDITS, tree)
