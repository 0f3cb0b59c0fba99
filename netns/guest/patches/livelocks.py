"""Ends three loops of the kernel in which a guest would stay for ever: on the virtual clock no tick ends them.

All were seen, the first two about once in a hundred times that it could have come to it:

- A kernel without swap gives up file pages first, those of the programs that run among them, and each that it
  reads back counts as progress: with a few left it may read the same ones again and again, and never come to
  the end of its memory. So a sixteenth of the memory is kept for file pages: with fewer, none is taken away.
- Who throws away the cached names below a folder, as is done with /proc/PID when the process is gone, tries
  again until a name that another process is just throwing away is gone. The other gets its turn only when the
  first sleeps. So it does, for a tick. (Linux 7 waits for the other in most cases.)
- A process that finds no memory tries again until the one that was killed for it has given up its own. The killed one
  gets its turn only when the first sleeps. So it does, for a tick. (Seen with 7.3, in two of three guests that ran out
  of memory.)
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

#: In get_scan_count, which says how many pages of each kind are looked at.
_THRASHING = Edit(
    "mm/vmscan.c",
    "\t\tscan >>= sc->priority;\n",
    """\
		scan >>= sc->priority;
		if (file && node_page_state(lruvec_pgdat(lruvec), NR_ACTIVE_FILE) +
			node_page_state(lruvec_pgdat(lruvec), NR_INACTIVE_FILE) < totalram_pages() / 16)
			scan = 0;
""",
)

#: In shrink_dcache_parent.
_SHRINKING = Edit(
    "fs/dcache.c",
    "\t\tcond_resched();\n\t\tif (!data.found)\n\t\t\tbreak;\n",
    "\t\tif (!data.found)\n\t\t\tbreak;\n\t\tschedule_timeout_uninterruptible(1);\n",
)

#: In should_reclaim_retry.
_RETRYING = Edit(
    "mm/page_alloc.c",
    "\tif (current->flags & PF_WQ_WORKER)\n\t\tschedule_timeout_uninterruptible(1);\n\telse\n\t\tcond_resched();\n",
    "\tschedule_timeout_uninterruptible(1);\n",
)

EDITS = (_THRASHING, _SHRINKING, _RETRYING)


def end_livelocks(tree: Path) -> None:
    """Change the kernel source in ``tree``, where it is as it was known to be."""
    for edit in EDITS:
        apply([edit], tree)
