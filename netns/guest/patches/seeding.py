"""Makes a guest draw its random numbers from a seed, by changes to the kernel's source.

A guest kernel asks the machine it runs on for randomness (os_getrandom in arch/um/os-Linux/util.c, since
5.19), at boot and whenever a processor with such an instruction would use it. From there come ports,
sequence numbers, the delays of IPv6's address checks, and every /dev/urandom. Where the environment of
the kernel's process holds a seed, they come from that, and from nothing else: neither interrupts, which
the machine's doings time, nor the wall clock's setting, nor the command line are mixed in.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.guest.source_edits import Edit, apply

#: In the environment of the kernel's process, a decimal number.
VARIABLE = "HALFOPEN_SEED"
#: A guest's wall clock begins here, nanoseconds (2000-01-01), for it is mixed into the random numbers at boot.
EPOCH_NS = 946_684_800_000_000_000

# SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
_SEEDED = f"""
static ssize_t seeded_random(unsigned char *buf, size_t len, unsigned int flags)
{{
	static unsigned long long state;
	static int seeded = -1;
	size_t done;

	if (seeded < 0) {{
		const char *seed = getenv("{VARIABLE}");

		seeded = seed != NULL;
		if (seeded)
			state = strtoull(seed, NULL, 10);
	}}
	if (!seeded)
		return getrandom(buf, len, flags);
	for (done = 0; done < len; done++) {{
		unsigned long long z = (state += 0x9e3779b97f4a7c15ULL);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		buf[done] = (z ^ (z >> 31)) & 0xff;
	}}
	return len;
}}

"""


EDITS = (
    Edit("arch/um/os-Linux/util.c", "ssize_t os_getrandom(", _SEEDED.lstrip("\n") + "ssize_t os_getrandom("),
    Edit(
        "arch/um/os-Linux/util.c",
        "return getrandom(buf, len, flags);\n}\n",
        "return seeded_random(buf, len, flags);\n}\n",
    ),
    # It names file descriptors and folders of the machine's.
    Edit("drivers/char/random.c", "\t_mix_pool_bytes(command_line, strlen(command_line));\n", ""),
    Edit(
        "drivers/char/random.c",
        "void add_interrupt_randomness(int irq)\n{\n",
        "void add_interrupt_randomness(int irq)\n{\n\treturn;\n",
    ),
    Edit(
        "drivers/char/random.c",
        "void add_device_randomness(const void *buf, size_t len)\n{\n",
        "void add_device_randomness(const void *buf, size_t len)\n{\n\treturn;\n",
    ),
)


def make_seedable(tree: Path) -> bool:
    """Change the kernel source in ``tree``; False, and nothing is changed, if it is not as it was known to be."""
    return apply(EDITS, tree)
