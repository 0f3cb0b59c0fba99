"""Has a guest's failing system calls take no time, by a change to the kernel's source.

On the virtual clock each system call that fails takes a microsecond and then lets other processes run, so that a loop
around such a call does not last for ever (handle_syscall, arch/um/kernel/skas/syscall.c). But most calls that fail look
for a file along a path: a program of PATH, a module of sys.path, a locale. Their number depends on the folder, the
environment and the user, and so did the time at which a server was ready. A microsecond decides in which tick TCP
measures a round trip, and so the size of the send buffer seconds later.

With this change only a loop pays: all beyond the first 16,384 failing calls of a tick.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

_FILE = "arch/um/kernel/skas/syscall.c"
_LOOPS = """\
/* True for a call beyond the first that fail within one tick, by any process. */
static bool fails_in_a_loop(void)
{
	static unsigned long tick;
	static unsigned int failed;

	if (tick != jiffies) {
		tick = jiffies;
		failed = 0;
	}
	return ++failed > 16384;
}

"""
EDITS = (
    Edit(
        _FILE,
        "void handle_syscall(struct uml_pt_regs *r)\n{\n",
        _LOOPS + "void handle_syscall(struct uml_pt_regs *r)\n{\n",
    ),
    Edit(
        _FILE,
        "\t\t     time_travel_mode == TT_MODE_EXTERNAL)) {\n\t\t\tum_udelay(1);\n",
        "\t\t     time_travel_mode == TT_MODE_EXTERNAL) && fails_in_a_loop()) {\n\t\t\tum_udelay(1);\n",
    ),
)


def take_no_time(tree: Path) -> bool:
    """Change the kernel source in ``tree``; False, and nothing is changed, if it is not as it was known to be."""
    return apply(EDITS, tree)
