"""Has the headers that most of the kernel's files include parsed once for all of them, by changes to its source.

Reading headers was more than half of what a kernel took to build. Now the compiler writes what it has read of those
that most files include into one file, and starts each other from there ("Using Precompiled Headers" in its manual). It
takes the file in place of the first header that each is compiled with, compiler-version.h, if the options are the same;
else that header, so that a file with options of its own is compiled as ever.

The options that name a file differ for each. Under other names, which no header has, they do not count; a header that
comes after the precompiled one gives them the names that they had.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

#: The series of Linux whose files are known to compile to the same when read so. Others are built as ever.
SERIES = "7.3"

_RULES = "scripts/Makefile.lib"
_TOP = "Kbuild"
_NAMES = "include/linux/halfopen-names.h"
_COMMON = "include/linux/halfopen-common.h"

#: Files that tell headers what to declare, or declare themselves what headers do: compiled as ever.
_AS_EVER = (
    "arch/um/kernel/umid.o",
    "arch/x86/um/ptrace_64.o",
    "arch/x86/um/sys_call_table_64.o",
    "init/main.o",
    "kernel/sched/core.o",
    "kernel/softirq.o",
    "lib/sort.o",
    "lib/string.o",
)

EDITS = (
    Edit(_RULES, "\nc_flags        = -Wp,", "\nnamed_c_flags  = -Wp,"),
    Edit(
        _RULES,
        "\na_flags        = -Wp,",
        f"\nread-as-ever := {' '.join(_AS_EVER)}\n"
        "c_flags        = $(if $(filter $(read-as-ever),$@),$(named_c_flags), \\\n"
        "\t\t $(patsubst -DKBUILD_%,-DHALFOPEN_KBUILD_%,$(patsubst -D__KBUILD_%,-DHALFOPEN___KBUILD_%, \\\n"
        f"\t\t $(named_c_flags))) -include $(srctree)/{_NAMES})\n"
        "\na_flags        = -Wp,",
    ),
    Edit(
        _TOP,
        "PHONY += prepare\nprepare: ",
        "precompiled := $(obj)/include/linux/compiler-version.h.gch\n\n"
        "quiet_cmd_precompile = PCH     $@\n"
        "      cmd_precompile = $(CC) $(filter-out -DKBUILD_% -D__KBUILD_%,$(named_c_flags)) -x c-header -o $@ $<\n\n"
        f"$(precompiled): {_COMMON} $(offsets-file) $(rq-offsets-file)\n"
        "\t$(call cmd,precompile)\n\n"
        "PHONY += prepare\nprepare: $(precompiled) ",
    ),
)

#: The headers that most files include, in an order in which they can be read.
_HEADERS = (
    "linux/kconfig.h",
    "linux/compiler_types.h",
    "linux/module.h",
    "linux/kernel.h",
    "linux/init.h",
    "linux/slab.h",
    "linux/mm.h",
    "linux/fs.h",
    "linux/highmem.h",
    "linux/memcontrol.h",
    "linux/sched/signal.h",
    "linux/interrupt.h",
    "linux/uaccess.h",
    "linux/proc_fs.h",
    "linux/seq_file.h",
    "linux/security.h",
    "linux/syscalls.h",
    "linux/netdevice.h",
    "linux/skbuff.h",
    "linux/rtnetlink.h",
    "net/sock.h",
    "net/netlink.h",
)
#: Files that the source gets, and what is in them.
NEW = {
    _NAMES: "".join(
        f"#define {name} HALFOPEN_{name}\n"
        for name in ("KBUILD_MODFILE", "KBUILD_BASENAME", "KBUILD_MODNAME", "__KBUILD_MODNAME")
    ),
    # The name is in messages that a few headers have for the drivers of network cards.
    _COMMON: '#define KBUILD_MODNAME "linux"\n'
    + "".join(f"#include <{header}>\n" for header in _HEADERS)
    + "#undef KBUILD_MODNAME\n",
}


def precompile(tree: Path, version: str) -> None:
    """Change the kernel source in ``tree``, of Linux ``version``, where it is as it was known to be."""
    if version.startswith(f"{SERIES}.") and apply(EDITS, tree):
        for file, text in NEW.items():
            (tree / file).write_text(text)
